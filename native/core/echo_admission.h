// Does this node's own firewall let echo requests in?
#pragma once

#include <optional>

#include "core/event_source.h"

namespace corax {

// Told by comparing what the network brings with what the kernel delivers. Nothing has to be known of the firewall,
// which may change at any time.
class EchoAdmission {
 public:
  // A delivery may be seen a little later than the arrival, so one arrival alone says nothing.
  static constexpr unsigned patience = 3;
  static constexpr std::chrono::seconds memory{2};

  void arrived() { arrivedInRow_ += arrivedInRow_ > patience ? 0 : 1; }
  void delivered(Clock::time_point now) {
    arrivedInRow_ = 0;
    deliveredAt_ = now;
  }
  bool denied(Clock::time_point now) const {
    return arrivedInRow_ > patience && (!deliveredAt_ || now - *deliveredAt_ > memory);
  }

 private:
  unsigned arrivedInRow_ = 0;
  std::optional<Clock::time_point> deliveredAt_;
};

}  // namespace corax
