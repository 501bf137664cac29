// The prober's judgement, on a network and a clock of the test's own.
#include <cerrno>
#include <cmath>
#include <set>
#include <utility>

#include "core/icmp_prober.h"
#include "test/check.h"
#include "test/fake_probe_socket.h"

// <sanitizer/allocator_interface.h>, which not every compiler package has.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t),
                                                         void (*freed)(const volatile void*));

namespace corax::test {
namespace {

using std::chrono::seconds;

const auto silence = [](const OutgoingProbe&) { return std::optional<Clock::duration>(); };
auto after(int ms) {
  return [ms](const OutgoingProbe&) { return std::optional<Clock::duration>(milliseconds(ms)); };
}
size_t allocations = 0;
void countAllocation(const volatile void*, size_t) { ++allocations; }
void ignoreFree(const volatile void*) {}

bool near(double actual, double expected) { return std::abs(actual - expected) < 1e-3; }

}  // namespace

TEST("answers are counted, and RTT and jitter smoothed by RFC 6298") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  int delay = 40;
  bench.network.path = [&](const OutgoingProbe&) { return std::optional<Clock::duration>(milliseconds(delay)); };
  bench.run(milliseconds(500));
  CHECK_EQ(bench.network.sent.size(), 1);
  auto s = bench.prober.snapshot();
  CHECK_EQ(s.count(), 1);
  CHECK(near(s.lastRttMs[0], 40) && near(s.smoothedRttMs[0], 40) && near(s.jitterMs[0], 20));
  delay = 80;
  while (bench.network.sent.size() < 2) bench.run(milliseconds(10));
  bench.run(milliseconds(100));
  s = bench.prober.snapshot();
  CHECK(near(s.lastRttMs[0], 80) && near(s.smoothedRttMs[0], 45) && near(s.jitterMs[0], 25));
  CHECK_EQ(s.ids[0], 1);
  CHECK_EQ(s.sent[0], 2);
  CHECK_EQ(s.received[0], 2);
  CHECK_EQ(s.lost[0], 0);
  CHECK_EQ(s.loss[0], 0);
  CHECK_EQ(s.answeredInRow[0], 2);
  CHECK_EQ(s.answeredSize[0], 84);
  const auto last = bench.network.sent.back().first + milliseconds(80);
  CHECK(near(s.lastReply[0], static_cast<double>(FakeNetwork::unix(last)) / 1e9));
  // Only the first answer is an event.
  CHECK_EQ(bench.probes.size(), 1);
  CHECK_EQ(bench.probes[0].second.id, 1);
  CHECK_EQ(bench.probes[0].second.answeredInRow, 1);
  CHECK_EQ(bench.probes[0].second.lostInRow, 0);
  CHECK(near(*bench.probes[0].second.rttMs, 40));
}

TEST("before the first answer there are no figures") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  const auto s = bench.prober.snapshot();
  CHECK(std::isnan(s.lastRttMs[0]) && std::isnan(s.smoothedRttMs[0]) && std::isnan(s.jitterMs[0]));
  CHECK_EQ(s.lastReply[0], 0);
  CHECK_EQ(s.loss[0], 0);
}

TEST("a silent target: first loss after 1 s, then fast probes, events at 1 and 3 in a row") {
  Bench bench;
  bench.network.path = silence;
  bench.prober.set({Bench::target(1)});
  bench.run(seconds(10));
  CHECK_EQ(bench.probes.size(), 2);
  CHECK_EQ(bench.probes[0].second.lostInRow, 1);
  CHECK_EQ(bench.probes[1].second.lostInRow, 3);
  CHECK(!bench.probes[0].second.rttMs.has_value());
  const auto first = bench.network.sent[0].first;
  CHECK(bench.probes[0].first >= first + seconds(1));
  CHECK(bench.probes[0].first <= first + milliseconds(1010));
  // Fast, but no faster.
  for (size_t i = 3; i < bench.network.sent.size(); ++i) {
    const auto gap = bench.network.sent[i].first - bench.network.sent[i - 1].first;
    CHECK(gap >= milliseconds(250) && gap <= milliseconds(260));
  }
  const auto s = bench.prober.snapshot();
  CHECK(s.lost[0] >= 30 && s.lostInRow[0] == s.lost[0]);
  CHECK_EQ(s.loss[0], 1);
  CHECK(s.sent[0] - s.lost[0] <= 5);
}

TEST("a path that breaks is three losses within 2.5 s, and answers end the fast probes") {
  Bench bench;
  bench.prober.set({Bench::target(7)});
  bench.run(seconds(20));
  const auto cut = bench.now();
  bench.network.path = silence;
  bench.run(milliseconds(2500));
  CHECK_EQ(bench.probes.size(), 3);
  CHECK_EQ(bench.probes.back().second.lostInRow, 3);
  CHECK(bench.probes.back().first - cut < milliseconds(2500));
  bench.network.path = after(40);
  bench.run(milliseconds(400));
  CHECK_EQ(bench.probes.size(), 4);
  CHECK_EQ(bench.probes.back().second.answeredInRow, 1);
  CHECK_EQ(bench.prober.snapshot().lostInRow[0], 0);
  const size_t before = bench.network.sent.size();
  bench.run(seconds(10));
  CHECK(bench.network.sent.size() - before <= 11);
}

TEST("late answers are counted as late, do not undo the loss, and lengthen the time-out") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  bench.run(seconds(30));
  bench.network.path = after(450);
  bench.run(seconds(30));
  const auto s = bench.prober.snapshot();
  CHECK(s.lost[0] >= 1 && s.lost[0] <= 8);
  CHECK(s.late[0] >= 1 && s.late[0] <= s.lost[0]);
  CHECK_EQ(s.lostInRow[0], 0);
  CHECK(s.smoothedRttMs[0] > 400);
  CHECK(s.loss[0] > 0);

  // One late answer among none: nothing is well again.
  bench.network.onTheWay.clear();
  bool answer = true;
  bench.network.path = [&](const OutgoingProbe&) {
    return std::exchange(answer, false) ? std::optional<Clock::duration>(milliseconds(1500)) : std::nullopt;
  };
  const size_t events = bench.probes.size();
  bench.run(seconds(6));
  const auto dead = bench.prober.snapshot();
  CHECK_EQ(dead.late[0], s.late[0] + 1);
  CHECK_EQ(dead.received[0], s.received[0]);
  CHECK_EQ(dead.lostInRow[0], dead.lost[0] - s.lost[0]);
  CHECK_EQ(bench.probes.size(), events + 2);
}

TEST("a thread that was held up reads first and invents no losses") {
  Bench bench;
  bench.prober.set({Bench::target(1), Bench::target(2)});
  bench.run(seconds(5));
  for (int i = 0; i < 20; ++i) {
    const size_t before = bench.network.sent.size();
    while (bench.network.sent.size() == before) bench.run(milliseconds(2));
    bench.holdUp(seconds(4));
    // As an epoll loop that handles deadlines first would.
    bench.prober.onDeadline(bench.now());
    bench.run(milliseconds(1700));
  }
  const auto s = bench.prober.snapshot();
  CHECK_EQ(s.lost[0] + s.lost[1], 0);
  // The kernel's stamps, not the thread's: the hold-up is no latency.
  CHECK(near(s.smoothedRttMs[0], 40));
  // And it sends nothing in a bunch to make up for it.
  for (size_t i = 2; i < bench.network.sent.size(); ++i)
    CHECK(bench.network.sent[i].first - bench.network.sent[i - 2].first >= milliseconds(490));
}

TEST("a flood before the answer holds losses back, but not for ever") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  bench.run(seconds(5));
  const size_t before = bench.network.sent.size();
  while (bench.network.sent.size() == before) bench.run(milliseconds(2));
  // The answer is on its way behind more than one call reads.
  IpFields fields;
  fields.protocol = IPPROTO_ICMP;
  const ProbeHead head = encodeProbe({99, 1, 1, 0, 0});
  const Packet request = ipPacket(fields, Packet(head.begin(), head.end()));
  for (int i = 0; i < 5000; ++i) bench.network.deliver(bench.now() + milliseconds(1), request);
  bench.holdUp(seconds(3));
  bench.prober.onDeadline(bench.now());
  CHECK(bench.network.readable());
  CHECK_EQ(bench.prober.snapshot().lost[0], 0);
  bench.run(milliseconds(100));
  CHECK_EQ(bench.prober.snapshot().lost[0], 0);
  CHECK(bench.prober.snapshot().received[0] > static_cast<double>(before));

  // A flood that never ends cannot hide that nobody answers.
  bench.network.path = silence;
  bench.network.flood = request;
  const auto end = bench.now() + seconds(4);
  while (bench.now() < end) {
    bench.prober.onReadable();
    if (*bench.prober.deadline() <= bench.now()) bench.prober.onDeadline(bench.now());
  }
  CHECK(bench.prober.snapshot().lostInRow[0] >= 3);
  // Nor does it keep the answers out.
  bench.network.path = after(40);
  while (bench.now() < end + seconds(2)) {
    bench.prober.onReadable();
    if (*bench.prober.deadline() <= bench.now()) bench.prober.onDeadline(bench.now());
  }
  CHECK_EQ(bench.prober.snapshot().lostInRow[0], 0);
}

TEST("hostile replies count for nothing, and the true one counts once") {
  Bench bench;
  bench.network.path = silence;
  bench.prober.set({Bench::target(1), Bench::target(2)});
  while (bench.network.sent.size() < 2) bench.run(milliseconds(1));
  const OutgoingProbe& probe =
      bench.network.sent[bench.network.sent[0].second.destination.s_addr == Bench::target(1).destination.s_addr ? 0 : 1].second;
  const Packet good = replyTo(probe);
  const auto deliver = [&](const Packet& packet) {
    bench.network.deliver(bench.now(), packet);
    bench.run(milliseconds(1));
    const auto s = bench.prober.snapshot();
    return s.received[0] + s.received[1] + s.late[0] + s.late[1];
  };
  const auto changed = [&](size_t at, uint8_t value) {
    Packet packet = good;
    packet[at] = static_cast<uint8_t>(packet[at] ^ value);
    return packet;
  };
  const struct {
    const char* what;
    Packet packet;
  } cases[] = {
      {"another source", changed(15, 1)},
      {"to another destination", changed(19, 1)},
      {"more fragments", changed(6, 0x20)},
      {"an error message", changed(20, 3)},
      {"a code", changed(21, 1)},
      {"another identifier", changed(25, 1)},
      {"another ICMP sequence", changed(27, 1)},
      {"other magic", changed(28, 1)},
      {"another version", changed(32, 3)},
      {"a bit in the reserved bytes", changed(34, 1)},
      {"another token", changed(43, 1)},
      {"another target", changed(47, 3)},
      {"an unknown target", changed(44, 1)},
      {"a sequence that was never sent", changed(48, 1)},
      {"another size", ipPacket({probe.destination, probe.source, IPPROTO_ICMP, probe.tos},
                                Packet(good.begin() + 20, good.end() - 1))},
      {"no IPv4", changed(0, 0x20)},
      {"a header length that lies", changed(0, 0x0a)},
      {"only a head", Packet(good.begin(), good.begin() + 20)},
      {"a byte too few", Packet(good.begin(), good.begin() + 51)},
      {"nothing", {}},
  };
  for (const auto& hostile : cases)
    if (deliver(hostile.packet) != 0) fail(__FILE__, __LINE__, hostile.what);
  CHECK_EQ(deliver(good), 1);
  CHECK_EQ(deliver(good), 1);
  // Nor does it count when the next probes are on their way, or much later.
  bench.run(seconds(30));
  CHECK_EQ(deliver(good), 1);
  CHECK_EQ(bench.prober.snapshot().late[0], 0);
}

TEST("10,000 targets are spread evenly over the second") {
  Bench bench;
  bench.network.path = after(1);
  std::vector<ProbeTarget> targets;
  for (uint32_t id = 0; id < 10'000; ++id) targets.push_back(Bench::target(id));
  bench.prober.set(targets);
  bench.run(seconds(3));
  CHECK_EQ(bench.probes.size(), 10'000);
  bench.network.sent.clear();
  bench.wakeups = 0;
  const auto start = bench.now();
  bench.run(seconds(1));
  size_t buckets[20] = {};
  for (const auto& sent : bench.network.sent) ++buckets[(sent.first - start) / milliseconds(50)];
  for (const size_t bucket : buckets) CHECK(bucket >= 450 && bucket <= 550);
  CHECK(bench.network.sent.size() >= 9'990 && bench.network.sent.size() <= 10'010);
  // Those that are due at about the same time are one wake-up.
  CHECK(bench.wakeups < 2'000);
}

TEST("the same id has the same instants, whenever it was added") {
  std::vector<int64_t> instants;
  for (const int delay : {0, 317, 730}) {
    Bench bench;
    bench.run(milliseconds(delay));
    bench.prober.set({Bench::target(12345)});
    bench.run(seconds(5));
    instants.push_back(bench.network.sent.back().first.time_since_epoch() / milliseconds(1) % 1000);
  }
  CHECK_EQ(instants[0], instants[1]);
  CHECK_EQ(instants[0], instants[2]);
}

TEST("loss is over the last 32 probes") {
  Bench bench;
  bench.prober.set({Bench::target(1)});
  bench.run(seconds(50));
  int left = 8;
  bench.network.path = [&](const OutgoingProbe&) {
    return left-- > 0 ? std::nullopt : std::optional<Clock::duration>(milliseconds(40));
  };
  while (bench.prober.snapshot().answeredInRow[0] > 0) bench.run(milliseconds(50));
  while (bench.prober.snapshot().answeredInRow[0] == 0) bench.run(milliseconds(50));
  CHECK(near(bench.prober.snapshot().loss[0], 8.0 / 32));
  while (bench.prober.snapshot().answeredInRow[0] < 24) bench.run(milliseconds(50));
  CHECK(near(bench.prober.snapshot().loss[0], 8.0 / 32));
  while (bench.prober.snapshot().answeredInRow[0] < 28) bench.run(milliseconds(50));
  CHECK(near(bench.prober.snapshot().loss[0], 4.0 / 32));
  bench.run(seconds(10));
  CHECK_EQ(bench.prober.snapshot().loss[0], 0);
}

TEST("what the kernel will not send is lost after the fast interval, for that target only") {
  for (const int number : {ENETUNREACH, EPERM, EMSGSIZE, EINVAL, ENOKEY, ENODEV}) {
    Bench bench;
    const in_addr refused = Bench::target(2).destination;
    bench.network.error = [&](const OutgoingProbe& probe) {
      return probe.destination.s_addr == refused.s_addr ? number : 0;
    };
    bench.prober.set({Bench::target(1), Bench::target(2), Bench::target(3)});
    bench.run(milliseconds(1600));
    const auto s = bench.prober.snapshot();
    CHECK_EQ(s.lost[0] + s.lost[2], 0);
    CHECK(s.received[0] >= 1 && s.received[2] >= 1);
    CHECK(s.lostInRow[1] >= 4 && s.lostInRow[1] <= 7);
    CHECK_EQ(s.received[1], 0);
  }
}

TEST("a full send buffer delays probes and costs nothing, unless it stays full") {
  Bench bench;
  bench.prober.set({Bench::target(1), Bench::target(2)});
  bench.run(seconds(5));
  bench.network.room = 0;
  bench.run(milliseconds(900));
  bench.network.room = SIZE_MAX;
  bench.run(milliseconds(1100));
  auto s = bench.prober.snapshot();
  CHECK_EQ(s.lost[0] + s.lost[1], 0);
  bench.network.room = 0;
  bench.run(seconds(10));
  s = bench.prober.snapshot();
  CHECK(s.lostInRow[0] >= 3 && s.lostInRow[1] >= 3);
  bench.network.room = SIZE_MAX;
  bench.run(seconds(3));
  s = bench.prober.snapshot();
  CHECK_EQ(s.lostInRow[0] + s.lostInRow[1], 0);
}

TEST("set: counters stay with the path, answeredSize with the size; intervals and state hold at once") {
  Bench bench;
  ProbeTarget target = Bench::target(1);
  bench.prober.set({target});
  bench.run(seconds(10));
  const auto before = bench.prober.snapshot();
  bench.prober.set({target});
  CHECK_EQ(bench.prober.snapshot().received[0], before.received[0]);
  CHECK_EQ(bench.prober.snapshot().answeredSize[0], 84);

  target.size = 1420;
  bench.prober.set({target});
  CHECK_EQ(bench.prober.snapshot().answeredSize[0], 0);
  CHECK_EQ(bench.prober.snapshot().received[0], before.received[0]);
  bench.run(seconds(2));
  CHECK_EQ(bench.prober.snapshot().answeredSize[0], 1420);
  CHECK_EQ(bench.network.sent.back().second.size, 1420);
  // A bigger one that is answered after the size became smaller says nothing of the smaller.
  bench.network.path = after(150);
  const size_t count = bench.network.sent.size();
  while (bench.network.sent.size() == count) bench.run(milliseconds(1));
  target.size = 1000;
  bench.prober.set({target});
  bench.run(milliseconds(200));
  CHECK_EQ(bench.prober.snapshot().answeredSize[0], 0);
  bench.run(seconds(2));
  CHECK_EQ(bench.prober.snapshot().answeredSize[0], 1000);

  target.intervalMs = 10'000;
  bench.prober.set({target});
  bench.run(seconds(20));
  target.intervalMs = 100;
  bench.prober.set({target});
  size_t sent = bench.network.sent.size();
  bench.run(seconds(1));
  CHECK(bench.network.sent.size() - sent >= 9);
  target.intervalMs = 10'000;
  bench.prober.set({target});
  sent = bench.network.sent.size();
  bench.run(seconds(9));
  CHECK(bench.network.sent.size() - sent <= 1);

  // The state goes out with the next probe, and that one soon.
  target.state = 77;
  bench.prober.set({target});
  bench.run(milliseconds(250));
  CHECK(bench.network.sent.size() - sent >= 1);
  CHECK_EQ(bench.network.sent.back().second.head[icmpHeaderSize + 5], 77);
  CHECK_EQ(bench.prober.snapshot().lost[0], 0);

  target.destination = ip("10.9.9.9");
  bench.prober.set({target});
  const auto s = bench.prober.snapshot();
  CHECK_EQ(s.received[0] + s.sent[0] + s.answeredSize[0], 0);
  CHECK(std::isnan(s.smoothedRttMs[0]));
  bench.run(seconds(2));
  // Its first answer is told again.
  CHECK_EQ(bench.probes.back().second.answeredInRow, 1);
  CHECK(bench.probes.back().first > bench.now() - seconds(2));
}

TEST("set is all or nothing, and refuses what is out of range") {
  Bench bench;
  const auto broken = [](auto change) {
    ProbeTarget target = Bench::target(2);
    change(target);
    return target;
  };
  for (const ProbeTarget& bad : {
           broken([](ProbeTarget& t) { t.size = 63; }),
           broken([](ProbeTarget& t) { t.size = 65'536; }),
           broken([](ProbeTarget& t) { t.intervalMs = 49; }),
           broken([](ProbeTarget& t) { t.intervalMs = 3'600'001; }),
           broken([](ProbeTarget& t) { t.fastIntervalMs = 0; }),
           broken([](ProbeTarget& t) { t.tos = 0x11; }),
           broken([](ProbeTarget& t) { t.source.s_addr = 0; }),
           broken([](ProbeTarget& t) { t.destination.s_addr = 0; }),
       }) {
    CHECK_THROWS(std::invalid_argument, bench.prober.set({Bench::target(1), bad}));
    CHECK_EQ(bench.prober.snapshot().count(), 0);
  }
  std::vector<ProbeTarget> many;
  for (uint32_t id = 0; id <= IcmpProber::maxTargets; ++id) many.push_back(Bench::target(id));
  CHECK_THROWS(std::length_error, bench.prober.set(many));
  CHECK(!bench.prober.deadline().has_value());
}

TEST("a removed target is silent, and its answers do not count for the next one of its id") {
  Bench bench;
  bench.prober.set({Bench::target(1), Bench::target(2)});
  bench.run(seconds(2));
  std::vector<Packet> answers;
  for (const auto& sent : bench.network.sent) answers.push_back(replyTo(sent.second));
  bench.network.sent.clear();
  bench.prober.remove({1, 99});
  bench.run(seconds(2));
  for (const auto& sent : bench.network.sent)
    CHECK(sent.second.destination.s_addr != Bench::target(1).destination.s_addr);
  bench.network.path = silence;
  bench.prober.set({Bench::target(1)});
  bench.run(milliseconds(300));
  for (const Packet& answer : answers) bench.network.deliver(bench.now(), answer);
  bench.run(milliseconds(100));
  const auto s = bench.prober.snapshot();
  CHECK_EQ(s.count(), 2);
  CHECK_EQ(s.received[s.ids[0] == 1 ? 0 : 1], 0);
  bench.prober.remove({1, 2});
  CHECK_EQ(bench.prober.snapshot().count(), 0);
  CHECK(!bench.prober.deadline().has_value());
}

namespace {

// Remotes' probes, as they come in at a bench.
class Remote {
 public:
  explicit Remote(Bench& bench, const char* own = "10.244.1.1") : bench_(bench), own_(own) {}
  void says(uint8_t state, const char* from = "10.244.2.1", uint8_t tos = 0x10, uint64_t token = 5) {
    IpFields fields;
    fields.source = ip(from);
    fields.destination = ip(own_);
    fields.tos = tos;
    fields.protocol = IPPROTO_ICMP;
    const ProbeHead head = encodeProbe({token, 1, 1, state, tos});
    bench_.network.deliver(bench_.now(), ipPacket(fields, Packet(head.begin(), head.end())));
    bench_.run(milliseconds(1));
  }

 private:
  Bench& bench_;
  const char* own_;
};

// Sets the targets, and lets the first answers come.
void probe(Bench& bench, const std::vector<ProbeTarget>& targets) {
  bench.prober.set(targets);
  bench.run(seconds(1));
}

ProbeTarget towards(const char* destination, uint32_t id = 1, uint8_t tos = 0x10) {
  ProbeTarget target = Bench::target(id);
  target.destination = ip(destination);
  target.tos = tos;
  return target;
}

}  // namespace

TEST("others' requests tell their state, once a change; our own tell nothing") {
  Bench bench;
  Remote remote(bench);
  probe(bench, {towards("10.244.2.1", 1, 0x10), towards("10.244.2.1", 2, 0x08), towards("10.244.3.1", 3)});
  remote.says(1);
  remote.says(1);
  remote.says(1, "10.244.2.1", 0x08);
  remote.says(2);
  // ECN bits make no other plane.
  remote.says(2, "10.244.2.1", 0x13);
  remote.says(9, "10.244.3.1", 0x10, Bench::token);
  CHECK_EQ(bench.states.size(), 3);
  CHECK_EQ(textOf(bench.states[0].address), "10.244.2.1");
  CHECK_EQ(bench.states[0].tos, 0x10);
  CHECK_EQ(bench.states[1].tos, 0x08);
  CHECK_EQ(bench.states[2].state, 2);
}

TEST("only those are heard that are probed in turn, at both addresses and by that TOS") {
  Bench bench;
  Remote remote(bench);
  Remote elsewhere(bench, "10.244.1.2");
  remote.says(1);
  probe(bench, {towards("10.244.2.1")});
  remote.says(1, "10.244.2.2");
  remote.says(1, "10.244.2.1", 0x08);
  elsewhere.says(1);
  CHECK_EQ(bench.states.size(), 0);
  remote.says(1);
  CHECK_EQ(bench.states.size(), 1);
  bench.prober.remove({1});
  remote.says(2);
  CHECK_EQ(bench.states.size(), 1);
}

TEST("a state is heard only by the device that the answers come in by") {
  Bench bench;
  Remote remote(bench);
  const auto spoofed = [&](uint8_t state) {
    bench.network.ifindex = 8;
    remote.says(state);
    bench.network.ifindex = 7;
  };
  bench.network.path = silence;
  probe(bench, {towards("10.244.2.1")});
  remote.says(1);
  spoofed(1);
  CHECK_EQ(bench.states.size(), 0);
  bench.network.path = after(40);
  bench.run(seconds(2));
  spoofed(1);
  CHECK_EQ(bench.states.size(), 0);
  remote.says(1);
  CHECK_EQ(bench.states.size(), 1);
  spoofed(2);
  CHECK_EQ(bench.states.size(), 1);
  // The tunnel's device was made anew.
  bench.network.ifindex = 9;
  bench.run(seconds(2));
  remote.says(2);
  CHECK_EQ(bench.states.size(), 2);
  spoofed(3);
  CHECK_EQ(bench.states.size(), 2);
}

TEST("a state is told again to whoever probes anew or elsewhere, and when it was told to nobody") {
  Bench bench;
  Remote remote(bench);
  probe(bench, {towards("10.244.2.1")});
  remote.says(2);
  CHECK_EQ(bench.states.size(), 1);
  bench.prober.remove({1});
  probe(bench, {towards("10.244.2.1")});
  remote.says(2);
  CHECK_EQ(bench.states.size(), 2);
  // Another target on the same path: whoever set it has not heard it yet.
  probe(bench, {towards("10.244.2.1", 7)});
  remote.says(2);
  CHECK_EQ(bench.states.size(), 3);
  // It takes the other's path, and comes back.
  probe(bench, {towards("10.244.3.1")});
  probe(bench, {towards("10.244.2.1")});
  remote.says(2);
  CHECK_EQ(bench.states.size(), 4);
  // What concerns no path concerns no state.
  ProbeTarget same = towards("10.244.2.1");
  same.size = 1400;
  same.state = 9;
  probe(bench, {same});
  remote.says(2);
  CHECK_EQ(bench.states.size(), 4);
  bench.deaf = true;
  remote.says(3);
  bench.deaf = false;
  CHECK_EQ(bench.states.size(), 4);
  remote.says(3);
  CHECK_EQ(bench.states.size(), 5);
  CHECK_EQ(bench.states[4].state, 3);
  // The path lives as long as the last target on it.
  bench.prober.remove({1});
  remote.says(4);
  CHECK_EQ(bench.states.size(), 6);
  bench.prober.remove({7});
  remote.says(5);
  CHECK_EQ(bench.states.size(), 6);
}

TEST("the table of remote states holds the targets' paths only, and is bounded in what it tells") {
  RemoteStates states;
  Clock::time_point now{std::chrono::hours(1)};
  const auto path = [](uint32_t i) { return ProbePath{ip("10.244.1.1"), {htonl(0x0a000000u + i)}, 0x10}; };
  for (uint32_t i = 0; i < 100'000; ++i) CHECK(!states.update(path(i), 0, 1, now));
  CHECK_EQ(states.size(), 0);
  for (uint32_t i = 0; i < 1000; ++i) states.add(path(i));
  for (uint32_t i = 0; i < 1000; ++i) CHECK(states.update(path(i), 0, 1, now));
  CHECK_EQ(states.size(), 1000);
  // A flood of changes in one second: what is not told now is told later.
  now += seconds(2);
  size_t told = 0;
  for (int i = 0; i < 10'000; ++i) told += states.update(path(5), 0, static_cast<uint8_t>(i), now) ? 1 : 0;
  CHECK_EQ(told, RemoteStates::maxChangesPerSecond);
  CHECK(!states.update(path(5), 0, 250, now));
  CHECK(states.update(path(5), 0, 250, now + seconds(1)));
  states.remove(path(70'000));
  for (uint32_t i = 0; i < 1000; ++i) states.remove(path(i));
  CHECK_EQ(states.size(), 0);
}

// Counted by the address sanitizer, without which these tests are not built.
TEST("probing allocates nothing") {
  Bench bench;
  bench.network.path = silence;
  bench.network.keepSent = false;
  std::vector<ProbeTarget> targets;
  for (uint32_t id = 0; id < 100; ++id) targets.push_back(Bench::target(id));
  bench.prober.set(targets);
  bench.run(seconds(5));
  const uint64_t sent = bench.prober.probesSent();
  static const int hooked = __sanitizer_install_malloc_and_free_hooks(countAllocation, ignoreFree);
  CHECK(hooked != 0);
  delete new int;
  CHECK(allocations > 0);
  const size_t before = allocations;
  bench.run(seconds(20));
  CHECK(bench.prober.probesSent() - sent >= 7'000);
  CHECK_EQ(allocations, before);
}

TEST("whatever happens, the figures add up") {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    Bench bench;
    bench.network.keepSent = false;
    bench.network.path = [&](const OutgoingProbe&) {
      const uint32_t dice = random() % 10;
      if (dice < 3) return std::optional<Clock::duration>();
      return std::optional<Clock::duration>(milliseconds(dice < 9 ? random() % 150 : random() % 3000));
    };
    bench.network.error = [&](const OutgoingProbe&) { return random() % 20 == 0 ? ENETUNREACH : 0; };
    size_t seconds = 0;
    for (int step = 0; step < 300; ++step) {
      const uint32_t id = random() % 8;
      ProbeTarget target = Bench::target(id);
      target.intervalMs = 50 + random() % 2000;
      target.fastIntervalMs = 50 + random() % 500;
      target.size = 64 + random() % 1400;
      target.state = static_cast<uint8_t>(random());
      if (random() % 20 == 0) target.destination = ip("10.1.1.1");
      switch (random() % 6) {
        case 0: bench.prober.remove({id}); break;
        case 1:
        case 2: bench.prober.set({target}); break;
        case 3: bench.network.room = random() % 2 == 0 ? SIZE_MAX : random() % 20; break;
        case 4: bench.holdUp(milliseconds(random() % 3000)); break;
        default: break;
      }
      bench.run(milliseconds(random() % 1000));
      ++seconds;
      const auto s = bench.prober.snapshot();
      std::set<uint32_t> ids;
      for (size_t i = 0; i < s.count(); ++i) {
        ids.insert(s.ids[i]);
        const double open = s.sent[i] - s.received[i] - s.lost[i];
        CHECK(open >= 0 && open <= 32);
        CHECK(s.late[i] <= s.lost[i]);
        CHECK(s.loss[i] >= 0 && s.loss[i] <= 1);
        CHECK(s.lostInRow[i] == 0 || s.answeredInRow[i] == 0);
        CHECK(s.received[i] + s.late[i] == 0 || (s.smoothedRttMs[i] >= 0 && s.smoothedRttMs[i] <= 6100));
      }
      CHECK_EQ(ids.size(), s.count());
    }
    // It sleeps: no more than a wake-up per probe, answer and time-out of 8 targets, and per retry.
    CHECK(bench.wakeups < seconds * 1000);
  }
}

TEST("the heap gives the earliest deadline, however they move") {
  Random random(3);
  DeadlineHeap heap;
  std::map<uint32_t, Clock::time_point> expected;
  for (int i = 0; i < 100'000; ++i) {
    const uint32_t slot = random() % 200;
    if (random() % 4 == 0) {
      heap.remove(slot);
      expected.erase(slot);
    } else {
      const Clock::time_point time{std::chrono::nanoseconds(random() % 1000)};
      heap.set(slot, time);
      expected[slot] = time;
    }
    CHECK_EQ(heap.size(), expected.size());
    if (expected.empty()) {
      CHECK(heap.empty());
      continue;
    }
    const auto least = std::min_element(expected.begin(), expected.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
    CHECK(heap.time() == least->second);
    CHECK(expected.at(heap.slot()) == least->second);
  }
}

}  // namespace corax::test
