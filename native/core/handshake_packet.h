// WireGuard's handshake messages on the wire ("WireGuard: Next Generation Kernel Network Tunnel", sections 5.4.2 and
// 5.4.3), as a packet socket sees them.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/bytes.h"

namespace corax {

constexpr size_t initiationSize = 148;
constexpr size_t responseSize = 92;
// Type and three zero bytes, in network order.
constexpr uint32_t initiationStart = 0x01000000;
constexpr uint32_t responseStart = 0x02000000;

struct HandshakePacket {
  bool isInitiation;
  in_addr source;
  in_addr destination;
  // Host byte order.
  uint16_t sourcePort;
  uint16_t destinationPort;
  // The sender's name for the session, as it is on the wire.
  uint32_t sender;
  // Of a response: the name that the initiation had given.
  uint32_t receiver;
};

// `packet` from its IP header on. Nothing unless it is whole, unfragmented UDP over IPv4 of just that size. What is in
// it is the network's word: only who holds the private keys can tell more.
std::optional<HandshakePacket> parseHandshake(Bytes packet);

}  // namespace corax
