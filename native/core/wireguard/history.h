// The last snapshot of each device, and what differs from it.
#pragma once

#include <map>
#include <string>

#include "core/wireguard/columns.h"

namespace corax {

// Peers that are not in `before`, differ from it, or are in it only. Peers are told by their public keys.
WgDelta compareSnapshots(const WgSnapshot& before, const WgSnapshot& now);

class WgHistory {
 public:
  // What changed since the last time; `now` is what the next one is compared with.
  WgDelta advance(const std::string& device, WgSnapshot&& now) {
    WgSnapshot& before = devices_[device];
    WgDelta delta = compareSnapshots(before, now);
    before = std::move(now);
    return delta;
  }
  void forget(const std::string& device) { devices_.erase(device); }

 private:
  std::map<std::string, WgSnapshot> devices_;
};

}  // namespace corax
