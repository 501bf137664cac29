// UDP over IPv4 on the wire, as a raw socket sends and sees it (RFC 768, RFC 791).
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/bytes.h"

namespace corax {

constexpr size_t udpHeaderSize = 8;
// An Ethernet MTU without the IP and UDP headers.
constexpr size_t maxUdpPayload = 1472;
// RFC 8489 section 5
constexpr size_t stunHeaderSize = 20;
constexpr uint32_t stunMagicCookie = 0x2112a442;
// RFC 8489 sections 5 and 18.2: method Binding, class success and error response.
constexpr uint16_t stunBindingSuccess = 0x0101;
constexpr uint16_t stunBindingError = 0x0111;

// RFC 1071: the ones' complement of the ones' complement sum, host byte order, of `bytes` after `sum`.
uint16_t internetChecksum(Bytes bytes, uint32_t sum = 0);

// Ports in host byte order. The header is in network byte order, its checksum over the pseudo header too.
std::array<uint8_t, udpHeaderSize> udpHeader(in_addr source, uint16_t sourcePort, in_addr destination,
                                              uint16_t destinationPort, Bytes payload);

struct UdpPacket {
  in_addr source;
  in_addr destination;
  // Host byte order.
  uint16_t sourcePort;
  uint16_t destinationPort;
  // Within the packet; at most maxUdpPayload.
  Bytes payload;
};

// `packet` from its IP header on. Nothing unless it is whole and unfragmented. The UDP checksum is not looked at.
std::optional<UdpPacket> parseUdp(Bytes packet);

struct StunPacket {
  in_addr source;
  // Host byte order.
  uint16_t sourcePort;
  uint16_t destinationPort;
  // Within the packet.
  Bytes payload;
};

// `packet` from its IP header on. Nothing unless it is whole, unfragmented, and a STUN Binding success or error
// response: a server's word is all that is wanted here. The UDP checksum is not looked at: a packet that never left
// the machine (veth) carries a half-made one by design (CHECKSUM_PARTIAL), and answers are matched by transaction id.
std::optional<StunPacket> parseStunResponse(Bytes packet);

// Nothing, too, unless it goes to one of `ports`.
std::optional<StunPacket> parseStunResponse(Bytes packet, const std::vector<uint16_t>& ports);

}  // namespace corax
