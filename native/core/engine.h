// What a JavaScript Engine object holds: the native thread, the queue to it and the box of what comes back.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/event.h"
#include "core/job.h"
#include "core/kernel.h"
#include "core/reactor.h"

namespace corax {

class Engine {
 public:
  // Enough for any agent that waits for its answers; one that does not must not fill the memory.
  static constexpr size_t maxJobs = 1024;
  static constexpr size_t maxEvents = 4096;
  // Of them RawEvents and RendezvousEvents, which others can cause: far more than answers that were asked for. The rest
  // is dropped, and no overrun: whoever asked asks again.
  static constexpr size_t maxRawEvents = 128;

  struct Results {
    // Failed or done; those that were not begun when the engine stopped have CORAX_CLOSED.
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<Event> events;
  };

  // notify is called on the native thread when there is something to take(); once until it is taken.
  explicit Engine(std::function<void()> notify, Kernel::Sockets sockets = {});
  ~Engine() { stop(); }

  // Null, or why the job was not queued (CORAX_QUEUE_FULL, CORAX_CLOSED).
  std::optional<Failure> submit(std::unique_ptr<Job> job);
  Results take();
  // Ends and joins the thread, closes every socket; what was pending is there to take() with CORAX_CLOSED.
  void stop();

  const Counters& counters() const { return counters_; }
  size_t queueLength();

 private:
  bool work();
  void lose(EventSource& source);
  bool report(Event&& event);
  void flush();
  void finish(std::unique_ptr<Job> job);

  std::function<void()> notify_;
  Counters counters_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<std::unique_ptr<Job>> queue_;
  Results results_;
  size_t rawEvents_ = 0;
  bool closed_ = false;
  bool notified_ = false;
  bool overrun_ = false;

  // Of the native thread.
  std::unique_ptr<Job> current_;
  std::atomic<bool> working_{false};
  Reactor reactor_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace corax
