// A piece of work for the native thread, with its result. It travels: queued by the event loop, worked off by
// the native thread, and back, so that no lock guards what is in it.
#pragma once

#include <cstdint>
#include <optional>

#include "core/failure.h"

namespace corax {

class Kernel;

class Job {
 public:
  enum class Step { more, done };

  virtual ~Job() = default;
  // A slice that is short against the interval of a probe. May throw Failure: that ends the job.
  virtual Step step(Kernel& kernel) = 0;

  uint64_t id = 0;
  // Why it did not end well; what the job would have yielded is void then.
  std::optional<Failure> error;
};

}  // namespace corax
