// WireGuard over generic netlink: captured dumps, split peers, deltas, and what apply packs, decoded by a small
// kernel of the test's own.
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <random>

#include "core/ip.h"
#include "core/netlink/attribute_reader.h"
#include "core/wireguard/decode.h"
#include "core/wireguard/history.h"
#include "core/wireguard/jobs.h"
#include "test/check.h"
#include "test/fake_engine.h"
#include "test/fake_wireguard.h"

namespace corax::test {
namespace {

// "ipv4 text:port"
std::string endpointOf(const WgSnapshot& snapshot, size_t peer) {
  const uint8_t* address = &snapshot.endpointAddresses[peer * 16];
  const Ip ip = *Ip::from(isMapped(address) ? Bytes{address + 12, 4} : Bytes{address, 16});
  return ip.text() + ":" + std::to_string(snapshot.endpointPorts[peer]);
}

std::vector<Datagram> familyAnswer(const Request& request) {
  auto datagrams = answering(fixture("genl-family.bin"), request.sequence);
  datagrams.push_back(ack(request));
  return datagrams;
}

Answer captured(const char* dump) {
  return [dump](const std::vector<Request>& requests) {
    if (requests[0].type == GENL_ID_CTRL) return familyAnswer(requests[0]);
    return answering(fixture(dump), requests[0].sequence);
  };
}

WgSnapshot decoded(const std::vector<Datagram>& payloads) {
  WgDecoder decoder;
  for (const Datagram& payload : payloads) decoder.message({fakeFamily, NLM_F_MULTI, {payload.data(), payload.size()}});
  return decoder.take();
}

Datagram device(const Datagram& attributes) { return bytesOf(genlmsghdr{WG_CMD_GET_DEVICE, 1, 0}) + attributes; }
Datagram peers(const Datagram& list) { return attribute(WGDEVICE_A_PEERS, list); }
Datagram keyed(uint8_t key, const Datagram& rest) { return attribute(0, attribute(WGPEER_A_PUBLIC_KEY, Datagram(keySize, key)) + rest); }
Datagram allowedIp(uint16_t family, const Datagram& address, uint8_t length) {
  return attribute(0, attribute(WGALLOWEDIP_A_FAMILY, bytesOf(family)) + attribute(WGALLOWEDIP_A_IPADDR, address) +
                          attribute(WGALLOWEDIP_A_CIDR_MASK, {length}));
}

int decodeError(const Datagram& payload) {
  return failureOf([&] { decoded({payload}); }).number();
}

}  // namespace

TEST("WireGuard: a captured dump, its second peer merged from its parts") {
  JobRunner runner(silent, captured("wg-dump.bin"));
  CHECK(fixture("wg-dump.bin").size() > 2);
  WgSnapshotJob job("wgfix");
  runner.run(job);
  const WgSnapshot& it = job.snapshot;
  CHECK_EQ(it.count(), 3);
  CHECK_EQ(it.listenPort, 4500);
  CHECK_EQ(it.fwmark, 0x1234);
  CHECK(it.ifindex > 0);
  CHECK(it.publicKey.has_value());
  CHECK_EQ(it.key(0)[0], 1);
  CHECK_EQ(it.key(1)[0], 3);
  CHECK_EQ(it.key(2)[0], 4);
  CHECK_EQ(endpointOf(it, 0), "203.0.113.7:4501");
  CHECK_EQ(endpointOf(it, 1), "2001:db8::9:65535");
  CHECK_EQ(endpointOf(it, 2), ":::0");
  CHECK_EQ(it.keepalives[0], 5);
  CHECK_EQ(it.lastHandshakes[0], 0.0);
  CHECK_EQ(it.allowedIpOffsets[1], 2);
  CHECK_EQ(it.allowedIpOffsets[2], 1502);
  CHECK_EQ(it.allowedIpOffsets[3], 1502);
  CHECK_EQ(it.allowedIps.size(), 1502 * allowedIpSize);
  const uint8_t* six = &it.allowedIps[it.allowedIps[0] == 6 ? 0 : allowedIpSize];
  CHECK_EQ(six[0], 6);
  CHECK_EQ(six[1], 48);
}

TEST("WireGuard: no such device, as captured") {
  JobRunner runner(silent, captured("wg-no-device.bin"));
  WgSnapshotJob job("nosuch");
  CHECK_EQ(failureOf([&] { runner.run(job); }).what(), "WG_CMD_GET_DEVICE nosuch: No such device (ENODEV)");
}

TEST("WireGuard: the family is asked for once, and again after it was gone") {
  size_t asked = 0;
  bool gone = false;
  JobRunner runner(silent, [&](const std::vector<Request>& requests) {
    if (requests[0].type == GENL_ID_CTRL) {
      asked++;
      return familyAnswer(requests[0]);
    }
    return gone ? std::vector<Datagram>{ack(requests[0], ENOENT)} : answering(fixture("wg-dump.bin"), requests[0].sequence);
  });
  for (int round = 0; round < 3; round++) {
    WgSnapshotJob job("wgfix");
    runner.run(job);
  }
  CHECK_EQ(asked, 1);
  gone = true;
  WgSnapshotJob failing("wgfix");
  CHECK_EQ(failureOf([&] { runner.run(failing); }).number(), ENOENT);
  gone = false;
  WgSnapshotJob job("wgfix");
  runner.run(job);
  CHECK_EQ(asked, 2);
}

TEST("WireGuard: an interrupted dump is read again from the start") {
  int interruptions = 2;
  JobRunner runner(silent, [&](const std::vector<Request>& requests) {
    if (requests[0].type == GENL_ID_CTRL) return familyAnswer(requests[0]);
    auto datagrams = answering(fixture("wg-dump.bin"), requests[0].sequence);
    if (interruptions-- > 0) datagrams[1][offsetof(nlmsghdr, nlmsg_flags)] |= NLM_F_DUMP_INTR;
    return datagrams;
  });
  WgSnapshotJob job("wgfix");
  runner.run(job);
  CHECK_EQ(job.snapshot.count(), 3);
  CHECK_EQ(job.snapshot.allowedIpOffsets[3], 1502);
  CHECK_EQ(runner.counters().wireguard.dumpsInterrupted.load(), 2);
}

TEST("WireGuard: a peer may come in any number of parts, or without any allowed IP") {
  const Datagram one = attribute(WGPEER_A_ALLOWEDIPS, allowedIp(AF_INET, {10, 0, 0, 0}, 8));
  const Datagram two = attribute(WGPEER_A_ALLOWEDIPS, allowedIp(AF_INET, {10, 1, 0, 0}, 16) + allowedIp(AF_INET6, Datagram(16, 7), 128));
  const WgSnapshot it = decoded({device(peers(keyed(1, one))), device(peers(keyed(1, two))), device(peers(keyed(1, {}) + keyed(2, one)))});
  CHECK_EQ(it.count(), 2);
  CHECK_EQ(it.allowedIpOffsets[1], 3);
  CHECK_EQ(it.allowedIpOffsets[2], 4);
  CHECK_EQ(it.allowedIps[2 * allowedIpSize], 6);
}

TEST("WireGuard: however many peers were expected, those that come are read") {
  for (const size_t expected : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{1000}}) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{130}, size_t{300}}) {
      WgDecoder decoder;
      decoder.restart(expected);
      Datagram list;
      for (size_t peer = 0; peer < count; peer++) {
        Datagram prefixes;
        for (uint8_t entry = 0; entry < peer % 4; entry++) {
          prefixes = prefixes + allowedIp(AF_INET, {10, static_cast<uint8_t>(peer >> 8), static_cast<uint8_t>(peer), entry}, 32);
        }
        Datagram key(keySize, 7);
        key[0] = static_cast<uint8_t>(peer >> 8);
        key[1] = static_cast<uint8_t>(peer);
        list = list + attribute(0, attribute(WGPEER_A_PUBLIC_KEY, key) + attribute(WGPEER_A_ALLOWEDIPS, prefixes));
      }
      const Datagram payload = device(count == 0 ? Datagram{} : peers(list));
      decoder.message({fakeFamily, NLM_F_MULTI, {payload.data(), payload.size()}});
      const WgSnapshot it = decoder.take();
      CHECK_EQ(it.count(), count);
      CHECK_EQ(it.publicKeys.size(), count * keySize);
      CHECK_EQ(it.rxBytes.size(), count);
      CHECK_EQ(it.allowedIpOffsets.size(), count + 1);
      CHECK_EQ(it.allowedIps.size(), it.allowedIpOffsets.back() * allowedIpSize);
      for (size_t peer = 0; peer < count; peer++) {
        CHECK_EQ(it.key(peer)[0] * 256 + it.key(peer)[1], peer);
        CHECK_EQ(it.allowedIpOffsets[peer + 1] - it.allowedIpOffsets[peer], peer % 4);
        if (peer % 4 > 0) CHECK_EQ(it.allowedIps[it.allowedIpOffsets[peer] * allowedIpSize + 16], static_cast<uint8_t>(peer));
      }
    }
  }
}

TEST("WireGuard: lies are EBADMSG") {
  CHECK_EQ(decodeError({1, 2}), EBADMSG);
  CHECK_EQ(decodeError(device(attribute(WGDEVICE_A_PUBLIC_KEY, Datagram(31)))), EBADMSG);
  CHECK_EQ(decodeError(device(attribute(WGDEVICE_A_LISTEN_PORT, {1}))), EBADMSG);
  CHECK_EQ(decodeError(device(peers(attribute(0, attribute(WGPEER_A_PUBLIC_KEY, Datagram(33)))))), EBADMSG);
  // A peer without a key, at the start and after another peer.
  const Datagram bytes = attribute(WGPEER_A_RX_BYTES, bytesOf(uint64_t{5}));
  CHECK_EQ(decodeError(device(peers(attribute(0, bytes)))), EBADMSG);
  CHECK_EQ(decodeError(device(peers(keyed(1, {}) + attribute(0, bytes)))), EBADMSG);
  CHECK_EQ(decodeError(device(peers(keyed(1, attribute(WGPEER_A_ENDPOINT, bytesOf(sa_family_t{AF_INET})))))), EBADMSG);
  CHECK_EQ(decodeError(device(peers(keyed(1, attribute(WGPEER_A_LAST_HANDSHAKE_TIME, Datagram(8)))))), EBADMSG);
  const auto withAllowedIp = [](const Datagram& it) { return device(peers(keyed(1, attribute(WGPEER_A_ALLOWEDIPS, it)))); };
  CHECK_EQ(decodeError(withAllowedIp(allowedIp(AF_INET, {10, 0, 0, 0}, 33))), EBADMSG);
  CHECK_EQ(decodeError(withAllowedIp(allowedIp(AF_INET6, Datagram(16), 129))), EBADMSG);
  CHECK_EQ(decodeError(withAllowedIp(allowedIp(AF_INET, Datagram(16), 8))), EBADMSG);
  CHECK_EQ(decodeError(withAllowedIp(allowedIp(AF_INET6, Datagram(4), 8))), EBADMSG);
  CHECK_EQ(decodeError(withAllowedIp(allowedIp(99, Datagram(4), 8))), EBADMSG);
  CHECK_EQ(decodeError(withAllowedIp(attribute(0, {}))), EBADMSG);
}

TEST("WireGuard: what apply packs is what the kernel gets, whatever the peers") {
  std::mt19937 random(1);
  for (int round = 0; round < 60; round++) {
    FakeWireGuard kernel;
    JobRunner runner(silent, [&](const std::vector<Request>& requests) { return kernel.answer(requests); });
    std::map<WgKey, FakePeer> wanted;
    PeerColumns columns = randomPeers(random, round == 0 ? 3000 : random() % 800, wanted);
    const size_t count = columns.count;
    WgApplyJob job("wg0", std::move(columns));
    const size_t steps = runner.run(job);
    CHECK(kernel.peers == wanted);
    CHECK_EQ(job.messages, kernel.messages);
    CHECK_EQ(runner.counters().wireguardPeers.load(), kernel.nests);
    CHECK(kernel.nests >= count && kernel.nests < count + kernel.messages);
    CHECK_EQ(steps, std::max<size_t>(1, kernel.messages));
    // Full messages but for the last peer that did not fit.
    if (round == 0) CHECK(kernel.bytes / kernel.messages > 40'000);

    WgSnapshotJob read("wg0");
    runner.run(read);
    CHECK_EQ(read.snapshot.count(), wanted.size());
  }
}

TEST("WireGuard: peers are packed up to the 64 KiB of a nest, 20,000 allowed IPs of one peer split") {
  FakeWireGuard kernel;
  JobRunner runner(silent, [&](const std::vector<Request>& requests) { return kernel.answer(requests); });
  PeerColumns columns = peerColumns({1, 2, 3});
  columns.flags[1] = PeerColumns::replaceAllowedIps | PeerColumns::presharedKey | PeerColumns::keepalive;
  columns.presharedKeys.assign(3 * keySize, 9);
  columns.keepalives[1] = 5;
  columns.allowedIpOffsets = {0, 1, 20'001, 20'002};
  for (uint32_t index = 0; index < 20'002; index++) {
    addAllowedIp(columns, {10, static_cast<uint8_t>(index >> 16), static_cast<uint8_t>(index >> 8), static_cast<uint8_t>(index)}, 32);
  }
  WgApplyJob job("wg0", std::move(columns));
  runner.run(job);
  CHECK_EQ(kernel.peers.size(), 3);
  CHECK_EQ(kernel.peers.at(keyOf(1)).allowedIps.size(), 1);
  CHECK_EQ(kernel.peers.at(keyOf(2)).allowedIps.size(), 20'000);
  CHECK_EQ(kernel.peers.at(keyOf(2)).keepalive, 5);
  CHECK_EQ(kernel.peers.at(keyOf(3)).allowedIps.size(), 1);
  // 28 bytes an allowed IP.
  CHECK_EQ(job.messages, 1 + 20'000 * 28 / 65'535 + 1);
  CHECK_EQ(runner.counters().wireguardPeers.load(), kernel.nests);
}

TEST("WireGuard: removing and adding again in one batch keeps the order") {
  FakeWireGuard kernel;
  JobRunner runner(silent, [&](const std::vector<Request>& requests) { return kernel.answer(requests); });
  PeerColumns first = peerColumns({1});
  first.allowedIpOffsets = {0, 1};
  addAllowedIp(first, {10, 0, 0, 0}, 8);
  WgApplyJob add("wg0", std::move(first));
  runner.run(add);
  PeerColumns second = peerColumns({1, 1});
  second.flags[0] = PeerColumns::remove;
  WgApplyJob again("wg0", std::move(second));
  runner.run(again);
  CHECK_EQ(again.messages, 1);
  CHECK_EQ(kernel.peers.at(keyOf(1)).allowedIps.size(), 0);
}

TEST("WireGuard: an error ends an apply, and names the device") {
  FakeWireGuard kernel;
  kernel.error = EPERM;
  JobRunner runner(silent, [&](const std::vector<Request>& requests) { return kernel.answer(requests); });
  std::mt19937 random(1);
  std::map<WgKey, FakePeer> wanted;
  WgApplyJob job("wg0", randomPeers(random, 3000, wanted));
  CHECK_EQ(failureOf([&] { runner.run(job); }).what(), "WG_CMD_SET_DEVICE wg0: Operation not permitted (EPERM)");
  CHECK_EQ(kernel.messages, 1);
  const size_t sent = runner.counters().wireguardPeers;
  CHECK(sent > 100 && sent < 3000);
}

TEST("WireGuard: destroy clears, then deletes; it keeps what is no tunnel") {
  std::vector<std::string> order;
  int clearError = 0;
  JobRunner runner(
      [&](const std::vector<Request>& requests) {
        order.push_back("delete");
        return std::vector<Datagram>{ack(requests[0])};
      },
      [&](const std::vector<Request>& requests) {
        if (requests[0].type == GENL_ID_CTRL) return familyAnswer(requests[0]);
        order.push_back("clear");
        bool replace = false;
        eachAttribute(after(requests[0].view(), sizeof(genlmsghdr)), [&](const Attribute& it) {
          if (it.type == WGDEVICE_A_FLAGS) replace = it.integer<uint32_t>() == WGDEVICE_F_REPLACE_PEERS;
        });
        CHECK(replace);
        return std::vector<Datagram>{ack(requests[0], clearError)};
      });
  WgDestroyJob job("wg0");
  runner.run(job);
  CHECK_EQ(order.size(), 2);
  CHECK_EQ(order[0], "clear");
  clearError = EOPNOTSUPP;
  WgDestroyJob other("eth0");
  CHECK_EQ(failureOf([&] { runner.run(other); }).number(), EOPNOTSUPP);
  clearError = ENODEV;
  WgDestroyJob none("wg0");
  runner.run(none);
  CHECK_EQ(order.size(), 4);
}

}  // namespace corax::test
