// An engine's other end: jobs of a test's own, and what comes back of them.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "test/check.h"

namespace corax::test {

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

inline std::unique_ptr<Job> sliced(uint64_t id, int slices, std::function<void(Kernel&)> each = [](Kernel&) {}) {
  auto job = std::make_unique<SlicedJob>(slices, std::move(each));
  job->id = id;
  return job;
}

// Runs it in one slice of the native thread. Nobody takes what it reports before it is over.
inline void inOneSlice(Engine& engine, const std::function<void(Kernel&)>& act) {
  const auto over = std::make_shared<std::promise<void>>();
  CHECK(!engine.submit(sliced(1, 1, [over, &act](Kernel& kernel) {
    act(kernel);
    over->set_value();
  })));
  over->get_future().wait();
}

}  // namespace corax::test
