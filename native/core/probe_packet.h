// Our ICMP echo on the wire. After the ICMP header (RFC 792, echo): magic "corx", version, state, two zero
// bytes, token (8 bytes), target id, sequence (4 bytes each, network byte order), then zeros up to the size.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace corax {

constexpr uint32_t probeMagic = 0x636f7278;
constexpr uint8_t probeVersion = 1;
constexpr size_t icmpHeaderSize = 8;
// ICMP header and our payload without the zeros.
constexpr size_t probeHeadSize = icmpHeaderSize + 24;
// The longest IP header and the head: what has to be read of a packet.
constexpr size_t probeReadSize = 60 + probeHeadSize;

struct ProbeMessage {
  // Random, one a process: nobody else's replies are ours.
  uint64_t token;
  uint32_t target;
  uint32_t sequence;
  uint8_t state;
  uint8_t tos;
};

struct ReceivedProbe {
  bool reply;
  in_addr source;
  in_addr destination;
  uint8_t tos;
  // Whole IP packet, bytes.
  uint16_t packetSize;
  uint16_t identifier;
  uint64_t token;
  uint32_t target;
  uint32_t sequence;
  uint8_t state;
};

// As the network brought it, and the device that it came in by.
struct TappedProbe {
  ReceivedProbe probe;
  uint32_t ifindex;
};

// The ICMP identifier; it differs with the TOS, so that conntrack sees a flow a plane.
uint16_t probeIdentifier(uint64_t token, uint8_t tos);

using ProbeHead = std::array<uint8_t, probeHeadSize>;

// An echo request; its checksum holds for any number of zero bytes after it.
ProbeHead encodeProbe(const ProbeMessage& message);

// The reply to an echo request, of the request's size: the zeros after the head need not be repeated here.
ProbeHead encodeReply(const ReceivedProbe& request);

// `data`: the IP packet from its first byte on, at least min(its length, probeReadSize) bytes of it. Nothing
// unless it is an unfragmented echo request or reply of this form whose two sequence numbers agree. The ICMP
// checksum is not looked at: the rest of a long packet may not have been read, and the token says more.
std::optional<ReceivedProbe> parseProbe(const uint8_t* data, size_t length);

}  // namespace corax
