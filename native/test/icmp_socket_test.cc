// The prober against the kernel's own echo replies, in real network namespaces.
#include "core/icmp_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <set>

#include "core/icmp_prober.h"
#include "core/nft.h"
#include "test/check.h"
#include "test/drive.h"
#include "test/netns.h"
#include "test/packets.h"

namespace corax::test {
namespace {

constexpr const char* nearAddress = "10.8.0.1";
constexpr const char* farAddress = "10.8.0.2";

ProbeTarget target(uint32_t id, const char* destination = farAddress) {
  ProbeTarget result{};
  result.id = id;
  result.source = ip(nearAddress);
  result.destination = ip(destination);
  result.tos = 0x10;
  result.intervalMs = 100;
  result.fastIntervalMs = 50;
  result.size = 84;
  result.state = 1;
  return result;
}

struct Probing {
  std::vector<ProbeEvent> probes;
  std::vector<RemoteStateEvent> states;
  IcmpProber prober{[this](Event&& event) {
    if (auto* probe = std::get_if<ProbeEvent>(&event)) probes.push_back(*probe);
    if (auto* state = std::get_if<RemoteStateEvent>(&event)) states.push_back(*state);
    return true;
  }};

  // The row of that id.
  size_t row(const ProbeColumns& s, uint32_t id) const {
    for (size_t i = 0; i < s.count(); ++i)
      if (s.ids[i] == id) return i;
    fail(__FILE__, __LINE__, "no such target");
  }
  void until(const std::function<bool(const ProbeColumns&)>& holds) {
    CHECK(drive({&prober}, [&] { return holds(prober.snapshot()); }));
  }
};

std::vector<OutgoingProbe> batch(size_t count, uint64_t token, const char* destination = farAddress) {
  std::vector<OutgoingProbe> probes(count);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t sequence = static_cast<uint32_t>(i);
    probes[i] = {ip(nearAddress), ip(destination), 0x08, 84, encodeProbe({token, 1, sequence, 0, 0x08}), 0, 0};
  }
  return probes;
}

// Whether the kernel's stamps were matched: without them all of a batch leave "just before the call".
bool stampedEach(const std::vector<OutgoingProbe>& probes) {
  std::set<int64_t> times;
  int64_t last = 0;
  for (const OutgoingProbe& probe : probes) {
    if (probe.error != 0) continue;
    if (probe.sentAt < last) return false;
    last = probe.sentAt;
    times.insert(probe.sentAt);
  }
  return times.size() > probes.size() / 2;
}

}  // namespace

TEST("probes of every size are answered by the far kernel") {
  Netns net;
  Probing probing;
  std::vector<ProbeTarget> targets;
  for (const uint32_t size : {64u, 65u, 84u, 85u, 1420u, 1499u, 1500u}) {
    targets.push_back(target(size));
    targets.back().size = size;
  }
  probing.prober.set(targets);
  probing.until([](const ProbeColumns& s) {
    return std::all_of(s.received.begin(), s.received.end(), [](double n) { return n >= 3; });
  });
  const auto s = probing.prober.snapshot();
  for (size_t i = 0; i < s.count(); ++i) {
    CHECK_EQ(s.answeredSize[i], s.ids[i]);
    CHECK_EQ(s.lost[i], 0);
    CHECK(s.smoothedRttMs[i] > 0 && s.smoothedRttMs[i] < 1000);
    CHECK(s.lastReply[i] > 1e9);
  }
  CHECK_EQ(probing.probes.size(), targets.size());
  CHECK(probing.prober.probesSent() >= 3 * targets.size());
}

TEST("a probe is an echo request with its TOS, DF and size; the reply has the same TOS") {
  Netns net;
  Probing probing;
  net.enterFar();
  Fd far(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  net.enterNear();
  Fd near(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  ProbeTarget direct = target(1);
  direct.size = 1400;
  direct.state = 42;
  ProbeTarget relayed = target(2);
  relayed.tos = 0x08;
  probing.prober.set({direct, relayed});
  probing.until([](const ProbeColumns& s) { return s.received[0] > 0 && s.received[1] > 0; });
  for (const Fd* end : {&far, &near}) {
    bool seen[3] = {};
    Packet packet(2048);
    for (ssize_t length; (length = recv(end->get(), packet.data(), packet.size(), MSG_DONTWAIT)) > 0;) {
      const auto probe = parseProbe(packet.data(), static_cast<size_t>(length));
      CHECK(probe.has_value());
      CHECK_EQ(probe->reply, end == &near);
      CHECK_EQ(probe->tos, probe->target == 1 ? 0x10 : 0x08);
      CHECK_EQ(probe->packetSize, probe->target == 1 ? 1400 : 84);
      CHECK_EQ(length, probe->packetSize);
      CHECK_EQ(probe->state, probe->target == 1 ? 42 : 1);
      if (!probe->reply) CHECK_EQ(get16(&packet[6]), 0x4000);
      CHECK_EQ(internetChecksum({&packet[20], static_cast<size_t>(length) - 20}), 0);
      seen[probe->target] = true;
    }
    CHECK(seen[1] && seen[2]);
  }
}

TEST("the TOS picks the route") {
  Netns net;
  Netns::run("ip route add unreachable 10.9.0.0/16 table 9029 && ip rule add from 10.8.0.1 tos 0x10 lookup 9029");
  Probing probing;
  ProbeTarget relayed = target(2, "10.9.0.1");
  relayed.tos = 0x08;
  probing.prober.set({target(1, "10.9.0.1"), relayed});
  probing.until([&](const ProbeColumns& s) {
    return s.received[probing.row(s, 2)] >= 3 && s.lostInRow[probing.row(s, 1)] >= 3;
  });
  CHECK_EQ(probing.prober.snapshot().received[probing.row(probing.prober.snapshot(), 1)], 0);
}

TEST("what cannot be sent is lost, and others are none the worse") {
  Netns net;
  Nft nft;
  nft.run(R"({"nftables": [
    {"add": {"table": {"family": "ip", "name": "wall"}}},
    {"add": {"chain": {"family": "ip", "table": "wall", "name": "out", "type": "filter", "hook": "output",
                       "prio": 0, "policy": "accept"}}},
    {"add": {"rule": {"family": "ip", "table": "wall", "chain": "out", "expr": [
      {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "10.9.0.3"}},
      {"drop": null}]}}}]})");
  Probing probing;
  ProbeTarget tooBig = target(2);
  tooBig.size = 1501;
  ProbeTarget notOurs = target(5);
  notOurs.source = ip("10.77.0.1");
  probing.prober.set({target(1), tooBig, target(3, "10.9.0.3"), target(4, "198.51.100.1"), notOurs, target(6)});
  probing.until([&](const ProbeColumns& s) {
    for (const uint32_t id : {2u, 3u, 4u, 5u})
      if (s.lostInRow[probing.row(s, id)] < 4) return false;
    return s.received[probing.row(s, 1)] >= 4 && s.received[probing.row(s, 6)] >= 4;
  });
  const auto s = probing.prober.snapshot();
  CHECK_EQ(s.lost[probing.row(s, 1)] + s.lost[probing.row(s, 6)], 0);
  for (const uint32_t id : {2u, 3u, 4u, 5u}) CHECK_EQ(s.received[probing.row(s, id)], 0);
}

TEST("a size that the path does not carry is lost though the device would take it") {
  Netns net;
  net.enterFar();
  Netns::run("ip link set v1 mtu 1400");
  net.enterNear();
  Probing probing;
  ProbeTarget big = target(2);
  big.size = 1450;
  probing.prober.set({target(1), big});
  probing.until([&](const ProbeColumns& s) {
    return s.received[probing.row(s, 1)] >= 3 && s.lostInRow[probing.row(s, 2)] >= 3;
  });
  // And what the kernel remembers of a path's MTU does not keep a probe from trying it.
  net.enterFar();
  Netns::run("ip link set v1 mtu 1500");
  net.enterNear();
  Netns::run("ip route add 10.9.0.9 via 10.8.0.2 mtu lock 1300");
  ProbeTarget remembered = target(3, "10.9.0.9");
  remembered.size = 1500;
  probing.prober.set({remembered});
  probing.until([&](const ProbeColumns& s) {
    return s.answeredSize[probing.row(s, 3)] == 1500 && s.answeredSize[probing.row(s, 2)] == 1450;
  });
}

TEST("a link that goes down is losses, and comes back") {
  Netns net;
  Probing probing;
  probing.prober.set({target(1)});
  probing.until([](const ProbeColumns& s) { return s.received[0] >= 3; });
  Netns::run("ip link set v0 down");
  probing.until([](const ProbeColumns& s) { return s.lostInRow[0] >= 3; });
  CHECK_EQ(probing.probes.back().lostInRow, 3);
  Netns::run("ip link set v0 up && ip route replace 10.9.0.0/16 via 10.8.0.2");
  probing.until([](const ProbeColumns& s) { return s.answeredInRow[0] >= 1; });
  CHECK_EQ(probing.probes.back().lostInRow, 0);
  CHECK(probing.probes.back().rttMs.has_value());
}

TEST("two probers tell each other their states, beside a third on the same node") {
  Netns net;
  Probing here;
  Probing neighbour;
  net.enterFar();
  Probing there;
  ProbeTarget back = target(9, nearAddress);
  back.source = ip(farAddress);
  back.tos = 0x08;
  back.state = 200;
  there.prober.set({back});
  ProbeTarget relay = target(2);
  relay.tos = 0x08;
  here.prober.set({target(1), relay});
  CHECK(drive({&here.prober, &there.prober, &neighbour.prober},
              [&] { return !here.states.empty() && !there.states.empty(); }));
  CHECK_EQ(textOf(here.states[0].address), farAddress);
  CHECK_EQ(here.states[0].tos, 0x08);
  CHECK_EQ(here.states[0].state, 200);
  CHECK_EQ(textOf(there.states[0].address), nearAddress);
  back.state = 201;
  there.prober.set({back});
  CHECK(drive({&here.prober, &there.prober, &neighbour.prober}, [&] { return here.states.size() == 2; }));
  CHECK_EQ(here.states[1].state, 201);
  // There has no target on the other plane and is told nothing of it, though those probes came too.
  CHECK_EQ(there.states.size(), 1);
  CHECK_EQ(there.states[0].tos, 0x08);
  // The neighbour saw no reply of ours as its own, and has nobody to listen to.
  CHECK_EQ(neighbour.prober.snapshot().count(), 0);
  CHECK(neighbour.states.empty());
  CHECK(neighbour.probes.empty());
}

TEST("every probe of a batch has the kernel's send stamp, after refused ones too") {
  Netns net;
  IcmpSocket socket(77);
  auto probes = batch(64, 77);
  // The first waits for the neighbour's address.
  CHECK_EQ(socket.send(probes.data(), 1), 1);
  const IncomingPacket* packets = nullptr;
  pollfd readable{socket.fd(), POLLIN, 0};
  CHECK(poll(&readable, 1, 10'000) == 1);
  while (socket.receive(packets) != 0) continue;

  CHECK_EQ(socket.send(probes.data(), probes.size()), 64);
  CHECK(stampedEach(probes));
  for (const int round : {0, 1, 2}) {
    auto mixed = batch(64, 77);
    mixed[static_cast<size_t>(20 + round)].size = 1501;
    mixed[static_cast<size_t>(40 + round)].destination = ip("198.51.100.1");
    CHECK_EQ(socket.send(mixed.data(), mixed.size()), 64);
    for (size_t i = 0; i < mixed.size(); ++i)
      CHECK_EQ(mixed[i].error, i == static_cast<size_t>(20 + round)   ? EMSGSIZE
                               : i == static_cast<size_t>(40 + round) ? ENETUNREACH
                                                                      : 0);
    CHECK_EQ(socket.send(probes.data(), probes.size()), 64);
    CHECK(stampedEach(probes));
  }

  // Each answer came after its probe left, by the stamps alone.
  auto last = batch(64, 77);
  for (auto& probe : last) probe.sentAt = 0;
  while (socket.receive(packets) != 0) continue;
  CHECK_EQ(socket.send(last.data(), last.size()), 64);
  size_t answers = 0;
  while (answers < last.size() && poll(&readable, 1, 10'000) == 1) {
    const size_t count = socket.receive(packets);
    for (size_t i = 0; i < count; ++i, ++answers) {
      const auto reply = parseProbe(packets[i].data, packets[i].length);
      CHECK(reply && reply->reply && reply->sequence < last.size());
      CHECK(packets[i].receivedAt > last[reply->sequence].sentAt);
      CHECK(packets[i].receivedAt <= socket.clock());
    }
  }
  CHECK_EQ(answers, last.size());
}

TEST("a thousand targets at once") {
  Netns net;
  Probing probing;
  std::vector<ProbeTarget> targets;
  for (uint32_t id = 0; id < 1000; ++id) {
    targets.push_back(target(id));
    targets.back().destination.s_addr = htonl(0x0a090000u + id + 1);
    targets.back().intervalMs = 1000;
    targets.back().fastIntervalMs = 250;
  }
  probing.prober.set(targets);
  probing.until([](const ProbeColumns& s) {
    return std::all_of(s.received.begin(), s.received.end(), [](double n) { return n >= 2; });
  });
  CHECK_EQ(probing.probes.size(), 1000);
}

}  // namespace corax::test
