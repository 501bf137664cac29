// The one native thread: waits for sources and deadlines, and between them works off what was asked for,
// one short slice at a time.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "core/event_source.h"
#include "core/fd.h"

namespace corax {

class Reactor {
 public:
  struct Callbacks {
    // One slice of work; true while there is more of it.
    std::function<bool()> work;
    // A source threw; it has been removed, is not called again and may be destroyed.
    std::function<void(EventSource&)> sourceFailed;
    // After each round: hand on what came together.
    std::function<void()> flush;
  };

  // Throws Failure where the kernel gives no descriptor.
  explicit Reactor(Callbacks callbacks);
  ~Reactor() { stop(); }

  void start();
  // From any thread: there is work.
  void wake();
  // Ends the thread after its present slice and waits for it. Not from the thread itself. Idempotent.
  void stop();

  // From the thread only; a source must be removed before it is destroyed.
  void add(EventSource& source);
  void remove(EventSource& source);

 private:
  void run();
  int waitTime(bool busy) const;
  void dispatch(EventSource& source, const std::function<void()>& call);

  Callbacks callbacks_;
  Fd epoll_;
  Fd wake_;
  std::atomic<bool> stopping_{false};
  std::vector<EventSource*> sources_;
  std::thread thread_;
};

}  // namespace corax
