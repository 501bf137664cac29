// Does this node's own firewall let a far end's echo requests in?
#pragma once

#include <optional>

#include "core/event_source.h"

namespace corax {

// Told by comparing what the network brings with what the kernel delivers, for each far end and plane by itself: a
// firewall that lets in what is established goes on to do so for one that it knows, and not for the next. Nothing has to
// be known of the firewall, which may change at any time.
class EchoAdmission {
 public:
  // A delivery may be seen a little later than the arrival, so one arrival alone says nothing.
  static constexpr unsigned patience = 3;
  static constexpr std::chrono::seconds memory{2};

  // What was seen of one far end on one plane.
  struct Seen {
    unsigned arrivedInRow = 0;
    std::optional<Clock::time_point> deliveredAt;
  };

  void arrived(Seen& seen, Clock::time_point now) {
    seen.arrivedInRow += seen.arrivedInRow > patience ? 0 : 1;
    if (isKept(seen, now)) keeps_ = true;
  }
  void delivered(Seen& seen, Clock::time_point now) {
    if (!seen.deliveredAt) keeps_ = false;
    seen = {0, now};
  }
  // Of one that nothing is known of yet, what was found last of another holds.
  bool denied(const Seen& seen, Clock::time_point now) const {
    return isKept(seen, now) || (keeps_ && !seen.deliveredAt);
  }

 private:
  static bool isKept(const Seen& seen, Clock::time_point now) {
    return seen.arrivedInRow > patience && (!seen.deliveredAt || now - *seen.deliveredAt > memory);
  }

  bool keeps_ = false;
};

}  // namespace corax
