// The last snapshot of the SAs, and what differs from it.
#pragma once

#include <utility>

#include "core/xfrm/columns.h"

namespace corax {

// SAs that are not in `before`, differ from it, or are in it only.
XfrmDelta compareXfrmStates(const XfrmStates& before, const XfrmStates& now);

class XfrmHistory {
 public:
  // What changed since the last time; `now` is what the next one is compared with.
  XfrmDelta advance(XfrmStates&& now) {
    XfrmDelta delta = compareXfrmStates(before_, now);
    before_ = std::move(now);
    return delta;
  }

 private:
  XfrmStates before_;
};

}  // namespace corax
