// Security associations and policies of the network namespace (src/native/xfrm.ts says what each field means): read
// one by one, kept as columns, one entry in each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/key_index.h"

namespace corax {

// 16 bytes, IPv4 as IPv4-mapped; all zero = none.
using XfrmAddress = std::array<uint8_t, 16>;
// Family (4 or 6), prefix length, 16 address bytes.
using XfrmPrefix = std::array<uint8_t, 18>;

struct XfrmMark {
  uint32_t value = 0;
  uint32_t mask = 0;
};

struct XfrmState {
  XfrmAddress source{};
  XfrmAddress destination{};
  // Host byte order.
  uint32_t spi = 0;
  uint32_t reqid = 0;
  uint32_t ifId = 0;
  XfrmMark mark;
  // IPPROTO_*
  uint8_t protocol = 0;
  // XFRM_MODE_*
  uint8_t mode = 0;
  // 0 = no UDP encapsulation.
  uint16_t encapSourcePort = 0;
  uint16_t encapDestinationPort = 0;
  double bytes = 0;
  double packets = 0;
  double addedAt = 0;
  double usedAt = 0;
  double lastUsedAt = 0;
};

struct XfrmStates {
  // What the kernel tells SAs by: destination, SPI, protocol, mark. For deltas only.
  std::vector<uint8_t> keys;
  std::vector<uint8_t> sources;
  std::vector<uint8_t> destinations;
  std::vector<uint32_t> spis;
  std::vector<uint32_t> reqids;
  std::vector<uint32_t> ifIds;
  std::vector<uint32_t> marks;
  std::vector<uint32_t> markMasks;
  std::vector<uint8_t> protocols;
  std::vector<uint8_t> modes;
  std::vector<uint16_t> encapSourcePorts;
  std::vector<uint16_t> encapDestinationPorts;
  std::vector<double> bytes;
  std::vector<double> packets;
  std::vector<double> addedAt;
  std::vector<double> usedAt;
  std::vector<double> lastUsedAt;

  size_t count() const { return spis.size(); }
  const uint8_t* key(size_t state) const { return &keys[state * KeyIndex::keySize]; }
  void add(const XfrmState& state);
  XfrmState at(size_t index) const;
};

struct XfrmDelta {
  // Those that also say something of WireGuard's peers have the same numbers there.
  enum Change : uint8_t { added = 1, removed = 2, endpoint = 4, counters = 16 };

  // Those that differ; the removed as they last were.
  XfrmStates states;
  std::vector<uint8_t> changes;
  size_t total = 0;
};

struct XfrmPolicy {
  XfrmPrefix source{};
  XfrmPrefix destination{};
  // XFRM_POLICY_IN, _OUT, _FWD
  uint8_t direction = 0;
  // XFRM_POLICY_ALLOW, _BLOCK
  uint8_t action = 0;
  uint32_t index = 0;
  uint32_t priority = 0;
  uint32_t ifId = 0;
  XfrmMark mark;
  // Of the first template; protocol 0 = it has none.
  uint8_t templateProtocol = 0;
  uint32_t templateReqid = 0;
  XfrmAddress templateSource{};
  XfrmAddress templateDestination{};
};

struct XfrmPolicies {
  std::vector<uint8_t> sources;
  std::vector<uint8_t> destinations;
  std::vector<uint8_t> directions;
  std::vector<uint8_t> actions;
  std::vector<uint32_t> indexes;
  std::vector<uint32_t> priorities;
  std::vector<uint32_t> ifIds;
  std::vector<uint32_t> marks;
  std::vector<uint32_t> markMasks;
  std::vector<uint8_t> templateProtocols;
  std::vector<uint32_t> templateReqids;
  std::vector<uint8_t> templateSources;
  std::vector<uint8_t> templateDestinations;

  size_t count() const { return indexes.size(); }
  void add(const XfrmPolicy& policy);
};

}  // namespace corax
