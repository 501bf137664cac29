#include "core/wireguard/history.h"

#include <cstring>

#include "core/key_index.h"

namespace corax {
namespace {

bool sameAllowedIps(const WgSnapshot& a, size_t left, const WgSnapshot& b, size_t right) {
  const size_t from = a.allowedIpOffsets[left];
  const size_t count = a.allowedIpOffsets[left + 1] - from;
  const size_t start = b.allowedIpOffsets[right];
  return count == b.allowedIpOffsets[right + 1] - start &&
         (count == 0 || std::memcmp(&a.allowedIps[from * allowedIpSize], &b.allowedIps[start * allowedIpSize],
                                    count * allowedIpSize) == 0);
}

uint8_t difference(const WgSnapshot& before, size_t left, const WgSnapshot& now, size_t right) {
  unsigned changes = 0;
  if (before.endpointPorts[left] != now.endpointPorts[right] ||
      std::memcmp(&before.endpointAddresses[left * 16], &now.endpointAddresses[right * 16], 16) != 0) {
    changes |= WgDelta::endpoint;
  }
  if (before.lastHandshakes[left] != now.lastHandshakes[right]) changes |= WgDelta::handshake;
  if (before.rxBytes[left] != now.rxBytes[right] || before.txBytes[left] != now.txBytes[right]) {
    changes |= WgDelta::counters;
  }
  if (!sameAllowedIps(before, left, now, right)) changes |= WgDelta::allowedIps;
  return static_cast<uint8_t>(changes);
}

void append(WgDelta& delta, const WgSnapshot& from, size_t peer, uint8_t changes) {
  WgSnapshot& into = delta.peers;
  into.publicKeys.append(from.key(peer), keySize);
  into.endpointAddresses.append(&from.endpointAddresses[peer * 16], 16);
  into.endpointPorts.push_back(from.endpointPorts[peer]);
  into.keepalives.push_back(from.keepalives[peer]);
  into.lastHandshakes.push_back(from.lastHandshakes[peer]);
  into.rxBytes.push_back(from.rxBytes[peer]);
  into.txBytes.push_back(from.txBytes[peer]);
  const uint32_t first = from.allowedIpOffsets[peer];
  const uint32_t count = from.allowedIpOffsets[peer + 1] - first;
  into.allowedIps.append(from.allowedIps.data() + first * allowedIpSize, count * allowedIpSize);
  into.allowedIpOffsets.push_back(into.allowedIpOffsets.back() + count);
  delta.changes.push_back(changes);
}

}  // namespace

WgDelta compareSnapshots(const WgSnapshot& before, const WgSnapshot& now) {
  WgDelta delta;
  delta.total = now.count();
  delta.peers.ifindex = now.ifindex;
  delta.peers.publicKey = now.publicKey;
  delta.peers.listenPort = now.listenPort;
  delta.peers.fwmark = now.fwmark;

  std::optional<KeyIndex> index;
  std::vector<bool> seen(before.count());
  size_t cursor = 0;
  for (size_t peer = 0; peer < now.count(); peer++) {
    std::optional<size_t> match;
    if (cursor < before.count() && std::memcmp(before.key(cursor), now.key(peer), keySize) == 0) {
      match = cursor;
    } else if (before.count() > 0) {
      if (!index) index.emplace(before.publicKeys);
      match = index->find(now.key(peer));
    }
    if (!match) {
      append(delta, now, peer, WgDelta::added);
      continue;
    }
    seen[*match] = true;
    cursor = *match + 1;
    if (const uint8_t changes = difference(before, *match, now, peer); changes != 0) append(delta, now, peer, changes);
  }
  for (size_t peer = 0; peer < before.count(); peer++) {
    if (!seen[peer]) append(delta, before, peer, WgDelta::removed);
  }
  return delta;
}

}  // namespace corax
