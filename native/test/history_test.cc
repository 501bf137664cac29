// What differs between two snapshots.
#include "core/wireguard/history.h"

#include <algorithm>
#include <map>
#include <random>

#include "test/check.h"
#include "test/fake_wireguard.h"

namespace corax::test {
namespace {

struct TestPeer {
  uint32_t key;
  uint8_t endpoint = 0;
  double handshake = 0;
  double rx = 0;
  std::vector<uint8_t> subnets = {};
};

WgSnapshot snapshotOf(const std::vector<TestPeer>& peers) {
  WgSnapshot it;
  for (const TestPeer& peer : peers) {
    WgKey key{};
    std::memcpy(key.data() + 4, &peer.key, sizeof peer.key);
    it.publicKeys.append(key.data(), key.size());
    it.endpointAddresses.append(Datagram(16, peer.endpoint).data(), 16);
    it.endpointPorts.push_back(peer.endpoint);
    it.keepalives.push_back(5);
    it.lastHandshakes.push_back(peer.handshake);
    it.rxBytes.push_back(peer.rx);
    it.txBytes.push_back(0);
    for (const uint8_t subnet : peer.subnets) it.allowedIps.append(Datagram(allowedIpSize, subnet).data(), allowedIpSize);
    it.allowedIpOffsets.push_back(it.allowedIpOffsets.back() + static_cast<uint32_t>(peer.subnets.size()));
  }
  return it;
}

// Key → changes.
std::map<uint32_t, int> changesIn(const WgDelta& delta) {
  std::map<uint32_t, int> changes;
  for (size_t index = 0; index < delta.peers.count(); index++) {
    uint32_t key;
    std::memcpy(&key, delta.peers.key(index) + 4, sizeof key);
    CHECK(changes.emplace(key, delta.changes[index]).second);
  }
  return changes;
}

using Changes = std::map<uint32_t, int>;

}  // namespace

TEST("delta: without an earlier snapshot everything is added, then nothing changed") {
  WgHistory history;
  const std::vector<TestPeer> peers = {{1, 1, 1, 1, {1}}, {2}, {3}};
  const WgDelta first = history.advance("wg0", snapshotOf(peers));
  CHECK((changesIn(first) == Changes{{1, WgDelta::added}, {2, WgDelta::added}, {3, WgDelta::added}}));
  CHECK_EQ(first.total, 3);
  const WgDelta second = history.advance("wg0", snapshotOf(peers));
  CHECK_EQ(second.peers.count(), 0);
  CHECK_EQ(second.total, 3);
  // Devices do not mix.
  CHECK_EQ(history.advance("wg1", snapshotOf(peers)).peers.count(), 3);
  history.forget("wg0");
  CHECK_EQ(history.advance("wg0", snapshotOf(peers)).peers.count(), 3);
}

TEST("delta: each change has its own bit, and the peer's new columns come with it") {
  const WgSnapshot before = snapshotOf({{1, 1, 1, 1, {1}}, {2, 1, 1, 1, {1}}, {3, 1, 1, 1, {1}}, {4, 1, 1, 1, {1, 2}}, {5, 1, 1, 1}, {6}});
  const WgSnapshot now = snapshotOf({{1, 2, 1, 1, {1}}, {2, 1, 2, 1, {1}}, {3, 1, 1, 9, {1}}, {4, 1, 1, 1, {1, 3}}, {5, 7, 7, 7, {7}}, {6}});
  const WgDelta delta = compareSnapshots(before, now);
  CHECK((changesIn(delta) == Changes{{1, WgDelta::endpoint},
                                     {2, WgDelta::handshake},
                                     {3, WgDelta::counters},
                                     {4, WgDelta::allowedIps},
                                     {5, WgDelta::endpoint | WgDelta::handshake | WgDelta::counters | WgDelta::allowedIps}}));
  CHECK_EQ(delta.peers.endpointPorts[0], 2);
  CHECK_EQ(delta.peers.rxBytes[2], 9.0);
  CHECK_EQ(delta.peers.allowedIpOffsets[4] - delta.peers.allowedIpOffsets[3], 2);
  CHECK_EQ(delta.peers.allowedIps[delta.peers.allowedIpOffsets[4] * allowedIpSize - 1], 3);
}

TEST("delta: any order, any mix of added, removed and changed") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; round++) {
    std::vector<TestPeer> before, now;
    Changes wanted;
    const uint32_t count = static_cast<uint32_t>(random() % 60);
    for (uint32_t key = 0; key < count; key++) {
      const TestPeer peer{key, 1, 1, 1, {1}};
      TestPeer other = peer;
      switch (random() % 5) {
        case 0: before.push_back(peer); wanted[key] = WgDelta::removed; break;
        case 1: now.push_back(peer); wanted[key] = WgDelta::added; break;
        case 2:
          other.endpoint = 2;
          before.push_back(peer);
          now.push_back(other);
          wanted[key] = WgDelta::endpoint;
          break;
        default: before.push_back(peer); now.push_back(peer);
      }
    }
    if (round % 2 == 0) std::shuffle(now.begin(), now.end(), random);
    if (round % 3 == 0) std::shuffle(before.begin(), before.end(), random);
    const WgDelta delta = compareSnapshots(snapshotOf(before), snapshotOf(now));
    CHECK(changesIn(delta) == wanted);
    CHECK_EQ(delta.total, now.size());
  }
}

}  // namespace corax::test
