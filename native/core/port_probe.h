// What a probe of a stranger's outside ports carries: PortSpray sends it, PortFan looks for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "core/wire.h"

namespace corax {

// "CXPR": neither a message of WireGuard's (types 1 to 4, then zeros) nor of STUN's (RFC 8489 5: begins with two zero
// bits), whoever it may reach.
constexpr uint32_t portProbeMagic = 0x43585052;
constexpr size_t portProbeSize = 14;

// The port, in host byte order, is the one that the probe is sent to: who gets it learns its own outside port.
inline std::array<uint8_t, portProbeSize> portProbe(uint64_t token, uint16_t port) {
  std::array<uint8_t, portProbeSize> bytes;
  put32(&bytes[0], portProbeMagic);
  put64(&bytes[4], token);
  put16(&bytes[12], port);
  return bytes;
}

// The port, unless it is no probe or carries another token. 0 is no port.
inline std::optional<uint16_t> parsePortProbe(Bytes payload, uint64_t token) {
  if (payload.size != portProbeSize || get32(payload.data) != portProbeMagic) return std::nullopt;
  const uint16_t port = get16(payload.data + 12);
  if (get64(payload.data + 4) != token || port == 0) return std::nullopt;
  return port;
}

}  // namespace corax
