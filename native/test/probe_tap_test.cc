// Answering for a kernel that the node's own firewall keeps others' probes from.
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "core/bpf.h"
#include "core/icmp_prober.h"
#include "core/probe_tap.h"
#include "test/check.h"
#include "test/fake_probe_socket.h"
#include "test/netns.h"

namespace corax::test {
namespace {

using std::chrono::seconds;

constexpr uint64_t theirs = 0x99;

// A request from the far end of the target with this id, on its plane.
TappedProbe requestFrom(uint32_t id, uint32_t sequence = 1) {
  const ProbeTarget target = Bench::target(id);
  ReceivedProbe request{};
  request.source = target.destination;
  request.destination = target.source;
  request.tos = target.tos;
  request.packetSize = 1420;
  request.identifier = 0x4242;
  request.token = theirs;
  request.target = 77;
  request.sequence = sequence;
  request.state = 1;
  return {request, FakeNetwork().ifindex};
}

Packet asPacket(const TappedProbe& tapped) {
  const ReceivedProbe& request = tapped.probe;
  OutgoingProbe probe{request.source, request.destination, request.tos, request.packetSize,
                      encodeProbe({request.token, request.target, request.sequence, request.state, request.tos}), 0, 0};
  Packet packet = replyTo(probe);
  std::swap_ranges(&packet[12], &packet[16], &packet[16]);
  packet[20] = 8;
  return packet;
}

std::vector<OutgoingProbe> replies(const Bench& bench) {
  std::vector<OutgoingProbe> found;
  for (const auto& [at, probe] : bench.network.sent)
    if (probe.head[0] == 0) found.push_back(probe);
  return found;
}

}  // namespace

TEST("what the kernel is not given is answered: from there to here, same TOS, size and identifiers") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  bench.run(seconds(1));
  for (uint32_t i = 0; i < EchoAdmission::patience; ++i) bench.prober.tapped({requestFrom(1, i)});
  CHECK(replies(bench).empty());
  bench.prober.tapped({requestFrom(1, 0x12345)});
  const auto sent = replies(bench);
  CHECK_EQ(sent.size(), 1);
  const ProbeTarget target = Bench::target(1);
  CHECK_EQ(sent[0].source.s_addr, target.source.s_addr);
  CHECK_EQ(sent[0].destination.s_addr, target.destination.s_addr);
  CHECK_EQ(sent[0].tos, target.tos);
  CHECK_EQ(sent[0].size, 1420);
  // As the other end's prober reads it.
  OutgoingProbe back = sent[0];
  Packet packet = replyTo(back);
  std::swap_ranges(&packet[12], &packet[16], &packet[16]);
  const auto parsed = parseProbe(packet.data(), packet.size());
  CHECK(parsed && parsed->reply);
  CHECK_EQ(parsed->token, theirs);
  CHECK_EQ(parsed->target, 77);
  CHECK_EQ(parsed->sequence, 0x12345);
  CHECK_EQ(parsed->identifier, 0x4242);
  CHECK_EQ(internetChecksum({sent[0].head.data(), sent[0].head.size()}), 0);
  // And what it says of its path is heard, once.
  CHECK_EQ(bench.states.size(), 1);
}

TEST("what the kernel is given it answers itself, however many arrive before that is seen") {
  Bench bench;
  bench.prober.set({Bench::target(1), Bench::target(2)});
  for (int second = 0; second < 20; ++second) {
    bench.run(seconds(1));
    // Many in one go, all delivered; read by the tap before and after the deliveries.
    const std::vector<TappedProbe> batch(50, requestFrom(1));
    bench.network.deliver(bench.now(), asPacket(requestFrom(1)));
    if (second % 2 == 0) bench.network.arrive();
    bench.prober.tapped(batch);
    bench.run(milliseconds(1));
  }
  CHECK(replies(bench).empty());
}

TEST("a firewall that comes is noticed, and so is its going") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  bench.network.deliver(bench.now(), asPacket(requestFrom(1)));
  bench.run(milliseconds(10));
  for (int second = 0; second < 10; ++second) {
    bench.run(seconds(1));
    bench.prober.tapped({requestFrom(1)});
  }
  const size_t answered = replies(bench).size();
  CHECK(answered >= 6 && answered < 10);
  bench.network.deliver(bench.now(), asPacket(requestFrom(1)));
  bench.run(milliseconds(10));
  bench.prober.tapped({requestFrom(1)});
  CHECK_EQ(replies(bench).size(), answered);
}

TEST("a firewall that knows one far end and keeps another out: each is answered by who sees it") {
  Bench bench;
  bench.prober.set({Bench::target(1), Bench::target(2)});
  for (uint32_t second = 0; second < 10; ++second) {
    bench.run(seconds(1));
    bench.network.deliver(bench.now(), asPacket(requestFrom(1, second)));
    bench.prober.tapped({requestFrom(1, second), requestFrom(2, second)});
  }
  const auto sent = replies(bench);
  CHECK_EQ(sent.size(), 10 - EchoAdmission::patience);
  const ProbeTarget kept = Bench::target(2);
  for (const OutgoingProbe& reply : sent) CHECK_EQ(reply.destination.s_addr, kept.destination.s_addr);
  // The next that comes is taken to be kept out as well, until it is seen not to be.
  bench.prober.set({Bench::target(3)});
  bench.prober.tapped({requestFrom(3)});
  CHECK_EQ(replies(bench).size(), sent.size() + 1);
  bench.network.deliver(bench.now(), asPacket(requestFrom(3)));
  bench.run(milliseconds(1));
  bench.prober.tapped({requestFrom(3)});
  CHECK_EQ(replies(bench).size(), sent.size() + 1);
}

TEST("strangers get no answer: another source, destination or TOS than a target's, or our own token") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  for (int i = 0; i < 10; ++i) {
    TappedProbe request = requestFrom(2);
    bench.prober.tapped({request});
    request = requestFrom(1);
    request.probe.tos = 0x08;
    bench.prober.tapped({request});
    request = requestFrom(1);
    request.probe.destination = ip("10.244.1.2");
    bench.prober.tapped({request});
    request = requestFrom(1);
    request.probe.token = Bench::token;
    bench.prober.tapped({request});
  }
  CHECK(replies(bench).empty());
  CHECK(bench.states.empty());
}

// Sends a request with the far end's token from here, and tells whether a reply to it comes within the time.
bool answers(uint32_t sequence, int milliseconds, IcmpProber& prober, ProbeTap& tap, Netns& net) {
  net.enterFar();
  const Fd fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
  CHECK(static_cast<bool>(fd));
  attachFilter(fd.get(), probeFilter(theirs));
  const int tos = 0x10;
  CHECK(setsockopt(fd.get(), IPPROTO_IP, IP_TOS, &tos, sizeof tos) == 0);
  sockaddr_in near{};
  near.sin_family = AF_INET;
  near.sin_addr = ip("10.8.0.1");
  const ProbeHead head = encodeProbe({theirs, 7, sequence, 1, 0x10});
  CHECK(sendto(fd.get(), head.data(), head.size(), 0, reinterpret_cast<sockaddr*>(&near), sizeof near) > 0);
  const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
  while (Clock::now() < end) {
    std::array<pollfd, 3> ready{{{fd.get(), POLLIN, 0}, {tap.fd(), POLLIN, 0}, {prober.fd(), POLLIN, 0}}};
    poll(ready.data(), ready.size(), 20);
    if (ready[1].revents != 0) tap.onReadable();
    if (ready[2].revents != 0) prober.onReadable();
    if (ready[0].revents == 0) continue;
    std::array<uint8_t, 2048> packet{};
    const ssize_t length = recv(fd.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    const auto reply = length > 0 ? parseProbe(packet.data(), static_cast<size_t>(length)) : std::nullopt;
    if (reply && reply->reply && reply->sequence == sequence && reply->tos == tos) return true;
  }
  return false;
}

TEST("behind a firewall that drops echo requests a real one is answered from here; without it by the kernel") {
  Netns net;
  net.enterNear();
  IcmpProber prober([](Event&&) { return true; });
  ProbeTap tap(prober.token(), [&](const std::vector<TappedProbe>& requests) { prober.tapped(requests); });
  ProbeTarget target = Bench::target(1);
  target.source = ip("10.8.0.1");
  target.destination = ip("10.8.0.2");
  target.intervalMs = ProbeTarget::maxIntervalMs;
  prober.set({target});
  for (uint32_t i = 0; i < 6; ++i) CHECK(answers(i, 5000, prober, tap, net));
  net.enterNear();
  Netns::run(
      "nft 'table ip t { chain c { type filter hook input priority 0; policy drop; ct state established accept; }; }'");
  uint32_t sequence = 100;
  for (; sequence < 120 && !answers(sequence, 500, prober, tap, net); ++sequence) continue;
  CHECK(sequence < 120);
  for (uint32_t i = 200; i < 205; ++i) CHECK(answers(i, 5000, prober, tap, net));
}

TEST("the tap sees requests that come in, not those that go out, and no others") {
  std::vector<TappedProbe> seen;
  ProbeTap tap(theirs + 1, [&](const std::vector<TappedProbe>& requests) {
    seen.insert(seen.end(), requests.begin(), requests.end());
  });
  const Fd fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
  CHECK(static_cast<bool>(fd));
  sockaddr_in self{};
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const uint64_t token : {theirs, theirs + 1, theirs}) {
    const ProbeHead head = encodeProbe({token, 7, 9, 1, 0x10});
    CHECK(sendto(fd.get(), head.data(), head.size(), 0, reinterpret_cast<sockaddr*>(&self), sizeof self) > 0);
  }
  pollfd ready{tap.fd(), POLLIN, 0};
  while (seen.size() < 2 && poll(&ready, 1, 5000) > 0) tap.onReadable();
  CHECK_EQ(seen.size(), 2);
  CHECK_EQ(seen[0].probe.token, theirs);
  CHECK_EQ(seen[0].probe.target, 7);
  CHECK_EQ(seen[0].ifindex, if_nametoindex("lo"));
  CHECK_EQ(seen[1].probe.destination.s_addr, self.sin_addr.s_addr);
}

}  // namespace corax::test
