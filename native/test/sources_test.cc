// What the native thread waits on: the network watch, and sources that fail.
#include <linux/rtnetlink.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/engine.h"
#include "core/icmp_prober.h"
#include "core/jobs.h"
#include "core/rtnl/jobs.h"
#include "core/rtnl/watch.h"
#include "test/check.h"
#include "test/drive.h"
#include "test/fake_netlink.h"
#include "test/mailbox.h"
#include "test/netns.h"
#include "test/packets.h"
#include "test/watching.h"

namespace corax::test {

TEST("engine: a burst of changes is one event, ours are none, lost ones are an overrun") {
  FakeKernel fake([](const std::vector<Request>&) { return std::vector<Datagram>(); });
  FakeKernel routes([](const std::vector<Request>& requests) { return std::vector<Datagram>{ack(requests.back())}; });
  Mailbox mailbox;
  Engine engine(mailbox.notify(), watching(fake, &routes));
  (void)engine.submit(std::make_unique<WatchNetworkJob>());
  (void)engine.submit(std::make_unique<WatchNetworkJob>());
  (void)engine.submit(std::make_unique<NetworkJob>(std::vector<NetworkOp>{RuleChange{false, {}}}));
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 3; });
  CHECK_EQ(fake.opened, 1);
  rtmsg route{};
  route.rtm_family = AF_INET;
  const uint32_t own = routes.latest->port;
  // Whoever's the route is, as one of raven's that we remove.
  for (const uint8_t protocol : {routeProtocol, uint8_t{3}}) {
    route.rtm_protocol = protocol;
    for (int count = 0; count < 50; count++) fake.latest->push(message(RTM_DELROUTE, 0, 0, bytesOf(route), own));
  }
  std::this_thread::sleep_for(NetworkWatch::coalesce * 2);
  CHECK(engine.take().events.empty());
  // Another process, and the kernel itself, to a route of ours.
  for (const uint32_t port : {own + 1, 0u}) {
    mailbox.events.clear();
    route.rtm_protocol = routeProtocol;
    for (int count = 0; count < 50; count++) fake.latest->push(message(RTM_DELROUTE, 0, 0, bytesOf(route), port));
    mailbox.take(engine, [&] { return !mailbox.events.empty(); });
    CHECK(std::holds_alternative<NetworkEvent>(mailbox.events[0]));
  }
}

TEST("engine: lost or unreadable changes are an overrun, and the watch goes on") {
  FakeKernel fake([](const std::vector<Request>&) { return std::vector<Datagram>(); });
  Mailbox mailbox;
  Engine engine(mailbox.notify(), watching(fake));
  (void)engine.submit(std::make_unique<WatchNetworkJob>());
  rtmsg route{};
  route.rtm_family = AF_INET;
  const auto has = [&](auto wanted) {
    return std::any_of(mailbox.events.begin(), mailbox.events.end(),
                       [](const Event& it) { return std::holds_alternative<decltype(wanted)>(it); });
  };
  for (const int failure : {ENOBUFS, EIO, ENOMEM}) {
    mailbox.events.clear();
    // The thread reads the failure before the message.
    (void)engine.submit(sliced(9, 1, [&](Kernel&) {
      fake.latest->failure = failure;
      fake.latest->push(message(RTM_NEWROUTE, 0, 0, bytesOf(route)));
    }));
    mailbox.take(engine, [&] { return has(OverrunEvent{}) && has(NetworkEvent{}); });
  }
  CHECK_EQ(fake.opened, 1);
}

TEST("engine: a watch that does nothing but fail is given up, and another opened when it is asked for again") {
  FakeKernel fake([](const std::vector<Request>&) { return std::vector<Datagram>(); });
  Mailbox mailbox;
  Engine engine(mailbox.notify(), watching(fake));
  rtmsg route{};
  route.rtm_family = AF_INET;
  (void)engine.submit(std::make_unique<WatchNetworkJob>());
  (void)engine.submit(sliced(2, 1, [&](Kernel&) {
    fake.latest->failure = EIO;
    fake.latest->failing = true;
    fake.latest->push(message(RTM_NEWROUTE, 0, 0, bytesOf(route)));
  }));
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 2 && !mailbox.events.empty(); });
  CHECK(std::holds_alternative<OverrunEvent>(mailbox.events[0]));
  // It may have been asked for between the failures and the end.
  uint64_t jobs = 2;
  while (fake.opened == 1) {
    (void)engine.submit(std::make_unique<WatchNetworkJob>());
    jobs++;
    mailbox.take(engine, [&] { return mailbox.jobs.size() == jobs; });
  }
  mailbox.events.clear();
  (void)engine.submit(sliced(9, 1, [&](Kernel&) { fake.latest->push(message(RTM_NEWROUTE, 0, 0, bytesOf(route))); }));
  mailbox.take(engine, [&] {
    return std::any_of(mailbox.events.begin(), mailbox.events.end(),
                       [](const Event& it) { return std::holds_alternative<NetworkEvent>(it); });
  });
}

TEST("kernel: a prober that failed reports no figures any more, and the next target has a new one") {
  Netns net;
  ProbeTarget target{};
  target.source = target.destination = ip("10.8.0.1");
  target.intervalMs = target.fastIntervalMs = 50;
  target.size = 84;
  Counters counters;
  Kernel* at = nullptr;
  std::atomic<bool> failing{true};
  std::atomic<bool> set{false};
  std::atomic<int> lost{0};
  std::atomic<size_t> rows{0};
  std::atomic<uint64_t> sent{0};
  Reactor reactor({[&] {
                     if (set.exchange(false)) at->prober().set({target});
                     ProbeSnapshotJob snapshot;
                     (void)snapshot.step(*at);
                     rows = snapshot.columns.count();
                     sent = at->probesSent();
                     return false;
                   },
                   [&](EventSource& source) {
                     at->lose(source);
                     lost++;
                   },
                   [] {}});
  Kernel kernel(
      reactor, counters,
      [&](Event&&) {
        if (failing) throw std::bad_alloc();
        return true;
      },
      {});
  at = &kernel;
  reactor.start();
  const auto until = [&](const std::function<bool()>& holds) {
    CHECK(drive({}, [&] {
      reactor.wake();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return holds();
    }));
  };
  set = true;
  until([&] { return lost == 1 && rows == 0; });
  CHECK(sent >= 1);
  const uint64_t before = sent;
  failing = false;
  set = true;
  until([&] { return rows == 1 && sent > before; });
  CHECK_EQ(lost.load(), 1);
  reactor.stop();
}

TEST("engine: a source that throws is left out, and the rest goes on") {
  class Bad final : public EventSource {
   public:
    int fd() const override { return -1; }
    void onReadable() override {}
    std::optional<Clock::time_point> deadline() const override { return Clock::time_point{}; }
    void onDeadline(Clock::time_point) override { throw std::runtime_error("bad source"); }
  } bad;
  std::atomic<int> failures{0};
  std::atomic<int> rounds{0};
  Reactor* at = nullptr;
  bool added = false;
  Reactor reactor({[&] {
                     if (!std::exchange(added, true)) at->add(bad);
                     return ++rounds < 100;
                   },
                   [&](EventSource& source) {
                     CHECK(&source == &bad);
                     failures++;
                   },
                   [] {}});
  at = &reactor;
  reactor.start();
  while (rounds < 100) std::this_thread::yield();
  reactor.stop();
  CHECK_EQ(failures.load(), 1);
}

}  // namespace corax::test
