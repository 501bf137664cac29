// The native thread: order, slices between which sources are served, bounds, and its end.
#include "core/engine.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <atomic>
#include <future>

#include "core/rtnl/jobs.h"
#include "test/check.h"
#include "test/fake_netlink.h"
#include "test/mailbox.h"
#include "test/watching.h"

namespace corax::test {

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
  inOneSlice(engine, [](Kernel& kernel) {
    for (size_t count = 0; count < Engine::maxEvents + 100; count++) kernel.sink()(NetworkEvent{});
  });
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 1; });
  CHECK_EQ(mailbox.events.size(), Engine::maxEvents + 1);
  CHECK(std::holds_alternative<OverrunEvent>(mailbox.events.back()));
}

TEST("engine: whoever reports is told whether there was room") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  size_t kept = 0;
  inOneSlice(engine, [&](Kernel& kernel) {
    for (size_t count = 0; count < Engine::maxEvents + 100; count++) kept += kernel.sink()(RemoteStateEvent{}) ? 1 : 0;
  });
  CHECK_EQ(kept, Engine::maxEvents);
}

TEST("engine: raw packets that nobody takes are bounded on their own, and keep nothing else out") {
  Mailbox mailbox;
  Engine engine(mailbox.notify());
  const auto flood = [&](size_t times) {
    mailbox.events.clear();
    inOneSlice(engine, [](Kernel& kernel) {
      for (size_t count = 0; count < 2 * Engine::maxEvents; count++) kernel.sink()(RawEvent{{}, 3478, {1, 2, 3}});
      kernel.sink()(ProbeEvent{7, 1, 0, std::nullopt});
    });
    mailbox.take(engine, [&] { return mailbox.jobs.size() == times; });
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

}  // namespace corax::test
