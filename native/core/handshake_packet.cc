#include "core/handshake_packet.h"

#include "core/udp_packet.h"
#include "core/wire.h"

namespace corax {

std::optional<HandshakePacket> parseHandshake(Bytes packet) {
  const auto udp = parseUdp(packet);
  if (!udp || udp->payload.size < responseSize) return std::nullopt;
  const uint8_t* payload = udp->payload.data;
  const uint32_t start = get32(payload);
  const bool isInitiation = start == initiationStart && udp->payload.size == initiationSize;
  const bool isResponse = start == responseStart && udp->payload.size == responseSize;
  if (!isInitiation && !isResponse) return std::nullopt;
  return HandshakePacket{isInitiation,
                         udp->source,
                         udp->destination,
                         udp->sourcePort,
                         udp->destinationPort,
                         get32(payload + 4),
                         isResponse ? get32(payload + 8) : 0};
}

}  // namespace corax
