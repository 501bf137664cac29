// What the native thread runs: one file descriptor and one deadline each. The reactor owns the waiting,
// so that sources stay plain objects that a test can drive without a thread.
#pragma once

#include <chrono>
#include <optional>

namespace corax {

using Clock = std::chrono::steady_clock;

class EventSource {
 public:
  virtual ~EventSource() = default;

  // The descriptor to wait on for input (it must not block), or -1 for none.
  virtual int fd() const = 0;
  // Called when fd is readable; must read until EAGAIN or a bounded amount, and never block.
  virtual void onReadable() = 0;
  // When onDeadline wants to be called next, or nothing.
  virtual std::optional<Clock::time_point> deadline() const = 0;
  virtual void onDeadline(Clock::time_point now) = 0;
};

}  // namespace corax
