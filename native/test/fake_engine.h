// Jobs without a thread: a Kernel over fakes, driven step by step.
#pragma once

#include "core/job.h"
#include "core/kernel.h"
#include "test/fake_netlink.h"

namespace corax::test {

inline std::vector<Datagram> silent(const std::vector<Request>&) { return {}; }

class JobRunner {
 public:
  JobRunner(Answer route, Answer generic, Answer xfrm = silent)
      : route_(std::move(route)), generic_(std::move(generic)), xfrm_(std::move(xfrm)), kernel_(reactor_, counters_, [](Event&&) { return true; }, sockets()) {}

  // Steps until done; how many it took. Throws what the job throws.
  size_t run(Job& job) {
    size_t steps = 1;
    while (job.step(kernel_) == Job::Step::more) steps++;
    return steps;
  }

  FakeKernel& route() { return route_; }
  FakeKernel& generic() { return generic_; }
  FakeKernel& xfrm() { return xfrm_; }
  Counters& counters() { return counters_; }

 private:
  Kernel::Sockets sockets() {
    Kernel::Sockets sockets;
    sockets.route = route_.open();
    sockets.generic = generic_.open();
    sockets.xfrm = xfrm_.open();
    sockets.options.timeout = std::chrono::milliseconds(30);
    return sockets;
  }

  FakeKernel route_;
  FakeKernel generic_;
  FakeKernel xfrm_;
  Counters counters_;
  Reactor reactor_{{[] { return false; }, [](EventSource&) {}, [] {}}};
  Kernel kernel_;
};

}  // namespace corax::test
