// WireGuard peers as columns: one entry a peer in each (src/native/wireguard.ts says what each holds).
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "core/bytes.h"
#include "core/wireguard/column.h"

namespace corax {

constexpr size_t keySize = 32;
using WgKey = std::array<uint8_t, keySize>;
// Family (4 or 6), prefix length, 16 address bytes.
constexpr size_t allowedIpSize = 18;

// Peers to program. Whoever fills them in has checked sizes and ranges.
struct PeerColumns {
  enum Flag : uint8_t { remove = 1, replaceAllowedIps = 2, updateOnly = 4, endpoint = 8, presharedKey = 16, keepalive = 32 };

  size_t count = 0;
  std::vector<uint8_t> publicKeys;
  std::vector<uint8_t> flags;
  std::vector<uint8_t> presharedKeys;
  std::vector<uint8_t> endpointAddresses;
  std::vector<uint16_t> endpointPorts;
  std::vector<uint16_t> keepalives;
  std::vector<uint32_t> allowedIpOffsets;
  std::vector<uint8_t> allowedIps;

  PeerColumns() = default;
  PeerColumns(PeerColumns&&) = default;
  PeerColumns& operator=(PeerColumns&&) = default;
  ~PeerColumns() {
    wipe(presharedKeys.data(), presharedKeys.size());
  }
};

// Peers as the kernel has them, in dump order. A copy of each is what deltas are made against.
struct WgSnapshot {
  uint32_t ifindex = 0;
  std::optional<WgKey> publicKey;
  uint16_t listenPort = 0;
  uint32_t fwmark = 0;

  Column<uint8_t> publicKeys;
  Column<uint8_t> endpointAddresses;
  Column<uint16_t> endpointPorts;
  Column<uint16_t> keepalives;
  Column<double> lastHandshakes;
  Column<double> rxBytes;
  Column<double> txBytes;
  Column<uint32_t> allowedIpOffsets{0};
  Column<uint8_t> allowedIps;

  size_t count() const { return endpointPorts.size(); }
  const uint8_t* key(size_t peer) const { return &publicKeys[peer * keySize]; }
};

struct WgDelta {
  enum Change : uint8_t { added = 1, removed = 2, endpoint = 4, handshake = 8, counters = 16, allowedIps = 32 };

  // The device, and the peers that differ; those removed as they last were.
  WgSnapshot peers;
  std::vector<uint8_t> changes;
  size_t total = 0;
};

}  // namespace corax
