// The native thread: order, slices between which sources are served, bounds, and its end.
#include "core/engine.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <condition_variable>
#include <future>

#include "core/rtnl/jobs.h"
#include "core/rtnl/watch.h"
#include "test/check.h"
#include "test/fake_netlink.h"

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

Kernel::Sockets watching(FakeKernel& kernel) {
  Kernel::Sockets sockets;
  sockets.watch = kernel.open();
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
  Mailbox mailbox;
  Engine engine(mailbox.notify(), watching(fake));
  (void)engine.submit(std::make_unique<WatchNetworkJob>());
  (void)engine.submit(std::make_unique<WatchNetworkJob>());
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 2; });
  CHECK_EQ(fake.opened, 1);
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_protocol = routeProtocol;
  for (int count = 0; count < 50; count++) fake.latest->push(message(RTM_NEWROUTE, 0, 0, bytesOf(route)));
  std::this_thread::sleep_for(NetworkWatch::coalesce * 2);
  CHECK(engine.take().events.empty());
  route.rtm_protocol = 3;
  for (int count = 0; count < 50; count++) fake.latest->push(message(RTM_NEWROUTE, 0, 0, bytesOf(route)));
  mailbox.take(engine, [&] { return !mailbox.events.empty(); });
  CHECK(std::holds_alternative<NetworkEvent>(mailbox.events[0]));
  // The thread reads the failure before the message.
  (void)engine.submit(sliced(9, 1, [&](Kernel&) {
    fake.latest->failure = ENOBUFS;
    fake.latest->push(message(RTM_NEWROUTE, 0, 0, bytesOf(route)));
  }));
  mailbox.take(engine, [&] {
    return std::any_of(mailbox.events.begin(), mailbox.events.end(),
                       [](const Event& it) { return std::holds_alternative<OverrunEvent>(it); });
  });
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
                   [&] { failures++; }, [] {}});
  at = &reactor;
  reactor.start();
  while (rounds < 100) std::this_thread::yield();
  reactor.stop();
  CHECK_EQ(failures.load(), 1);
}

}  // namespace corax::test
