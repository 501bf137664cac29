// The native thread: order, slices between which sources are served, bounds, and its end.
#include "core/engine.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <condition_variable>
#include <future>

#include "core/icmp_prober.h"
#include "core/jobs.h"
#include "core/rtnl/jobs.h"
#include "core/rtnl/watch.h"
#include "test/check.h"
#include "test/drive.h"
#include "test/fake_netlink.h"
#include "test/netns.h"
#include "test/packets.h"

namespace corax::test {
namespace {

// Collects what comes back and lets the test wait for it.
class Mailbox {
 public:
  std::function<void()> notify() {
    return [this] {
      const std::lock_guard<std::mutex> lock(mutex_);
      knocks_++;
      ready_.notify_all();
    };
  }
  // Takes until the condition holds of all that came.
  template <typename Enough>
  void take(Engine& engine, Enough&& enough) {
    for (;;) {
      Engine::Results results = engine.take();
      for (auto& job : results.jobs) jobs.push_back(std::move(job));
      for (auto& event : results.events) events.push_back(std::move(event));
      if (enough()) return;
      std::unique_lock<std::mutex> lock(mutex_);
      if (!ready_.wait_for(lock, std::chrono::seconds(60), [&] { return knocks_ > 0; })) fail(__FILE__, __LINE__, "nothing came");
      knocks_--;
    }
  }

  std::vector<std::unique_ptr<Job>> jobs;
  std::vector<Event> events;

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  int knocks_ = 0;
};

class SlicedJob final : public Job {
 public:
  explicit SlicedJob(int slices, std::function<void(Kernel&)> each = [](Kernel&) {}) : left_(slices), each_(std::move(each)) {}
  Step step(Kernel& kernel) override {
    each_(kernel);
    return --left_ > 0 ? Step::more : Step::done;
  }

 private:
  int left_;
  std::function<void(Kernel&)> each_;
};

std::unique_ptr<Job> sliced(uint64_t id, int slices, std::function<void(Kernel&)> each = [](Kernel&) {}) {
  auto job = std::make_unique<SlicedJob>(slices, std::move(each));
  job->id = id;
  return job;
}

Kernel::Sockets watching(FakeKernel& watch, FakeKernel* route = nullptr) {
  Kernel::Sockets sockets;
  sockets.watch = watch.open();
  if (route != nullptr) sockets.route = route->open();
  return sockets;
}

}  // namespace

TEST("engine: jobs are done one after the other, in the order in which they were asked for") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  std::vector<uint64_t> order;
  for (uint64_t id = 1; id <= 100; id++) {
    CHECK(!engine.submit(sliced(id, 1 + static_cast<int>(id % 3), [&order, id](Kernel&) { order.push_back(id); })));
  }
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 100; });
  for (size_t index = 0; index < 100; index++) {
    CHECK_EQ(mailbox.jobs[index]->id, index + 1);
    CHECK(!mailbox.jobs[index]->error);
  }
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK_EQ(engine.queueLength(), 0);
}

TEST("engine: what a job throws is its error, and the next one is done") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  (void)engine.submit(sliced(1, 5, [](Kernel&) { throw Failure::system(FailureCode::nft, "x", EPERM); }));
  (void)engine.submit(sliced(2, 5, [](Kernel&) { throw std::bad_alloc(); }));
  (void)engine.submit(sliced(3, 5));
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 3; });
  CHECK_EQ(mailbox.jobs[0]->error->number(), EPERM);
  CHECK(mailbox.jobs[1]->error.has_value());
  CHECK(!mailbox.jobs[2]->error);
}

TEST("engine: sources are served between the slices of a long job") {
  FakeKernel fake([](const std::vector<Request>&) { return std::vector<Datagram>(); });
  Mailbox mailbox;
  Engine engine(mailbox.notify(), watching(fake));
  (void)engine.submit(std::make_unique<WatchNetworkJob>());
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 1; });
  // The job goes on until the event that its first slice caused came out.
  std::atomic<bool> seen{false};
  ifinfomsg link{};
  class Until final : public Job {
   public:
    Until(std::function<void()> first, std::atomic<bool>& flag) : first_(std::move(first)), flag_(flag) {}
    Step step(Kernel&) override {
      if (first_) std::exchange(first_, nullptr)();
      return flag_ ? Step::done : Step::more;
    }

   private:
    std::function<void()> first_;
    std::atomic<bool>& flag_;
  };
  (void)engine.submit(std::make_unique<Until>([&] { fake.latest->push(message(16, 0, 0, bytesOf(link))); }, seen));
  mailbox.take(engine, [&] {
    if (!mailbox.events.empty()) seen = true;
    return mailbox.jobs.size() == 2;
  });
  CHECK(std::holds_alternative<NetworkEvent>(mailbox.events[0]));
}

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

TEST("engine: the queue is bounded, and full is said at once") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  std::promise<void> release;
  auto released = release.get_future().share();
  std::promise<void> begun;
  (void)engine.submit(sliced(0, 1, [&](Kernel&) {
    begun.set_value();
    released.wait();
  }));
  begun.get_future().wait();
  size_t accepted = 0;
  std::optional<Failure> refused;
  while (!(refused = engine.submit(sliced(1, 1)))) accepted++;
  CHECK_EQ(accepted, Engine::maxJobs);
  CHECK(refused->code() == FailureCode::queueFull);
  CHECK_EQ(engine.queueLength(), Engine::maxJobs + 1);
  release.set_value();
  mailbox.take(engine, [&] { return mailbox.jobs.size() == Engine::maxJobs + 1; });
  CHECK(!engine.submit(sliced(1, 1)));
}

TEST("engine: events that nobody takes are bounded, and say so") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  std::promise<void> told;
  (void)engine.submit(sliced(1, 1, [&](Kernel& kernel) {
    for (size_t count = 0; count < Engine::maxEvents + 100; count++) kernel.sink()(NetworkEvent{});
    told.set_value();
  }));
  // Whoever takes some while more come finds more than the bound in all.
  told.get_future().wait();
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 1; });
  CHECK_EQ(mailbox.events.size(), Engine::maxEvents + 1);
  CHECK(std::holds_alternative<OverrunEvent>(mailbox.events.back()));
}

TEST("engine: whoever reports is told whether there was room") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  size_t kept = 0;
  (void)engine.submit(sliced(1, 1, [&](Kernel& kernel) {
    for (size_t count = 0; count < Engine::maxEvents + 100; count++) kept += kernel.sink()(RemoteStateEvent{}) ? 1 : 0;
  }));
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 1; });
  CHECK_EQ(kept, Engine::maxEvents);
}

TEST("engine: raw packets that nobody takes are bounded on their own, and keep nothing else out") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  const auto flood = [&](uint64_t id) {
    mailbox.events.clear();
    (void)engine.submit(sliced(id, 1, [](Kernel& kernel) {
      for (size_t count = 0; count < 2 * Engine::maxEvents; count++) kernel.sink()(RawEvent{{}, 3478, {1, 2, 3}});
      kernel.sink()(ProbeEvent{7, 1, 0, std::nullopt});
    }));
    mailbox.take(engine, [&] { return mailbox.jobs.size() == id; });
    CHECK_EQ(mailbox.events.size(), Engine::maxRawEvents + 1);
    CHECK(std::holds_alternative<ProbeEvent>(mailbox.events.back()));
  };
  flood(1);
  // Taken is taken: there is room again.
  flood(2);
}

TEST("engine: stop ends a job between slices; what was pending is CORAX_CLOSED, what was done is not") {
  for (int round = 0; round < 50; round++) {
    Mailbox mailbox;
    Engine engine(mailbox.notify());
    std::promise<void> begun;
    bool first = true;
    (void)engine.submit(sliced(1, 1));
    (void)engine.submit(sliced(2, 1 << 30, [&](Kernel&) {
      if (std::exchange(first, false)) begun.set_value();
    }));
    (void)engine.submit(sliced(3, 1));
    begun.get_future().wait();
    engine.stop();
    engine.stop();
    const Engine::Results results = engine.take();
    CHECK_EQ(results.jobs.size(), 3);
    CHECK(!results.jobs[0]->error);
    CHECK(results.jobs[1]->error->code() == FailureCode::closed);
    CHECK(results.jobs[2]->error->code() == FailureCode::closed);
    CHECK(engine.submit(sliced(4, 1))->code() == FailureCode::closed);
    CHECK_EQ(engine.queueLength(), 0);
  }
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
