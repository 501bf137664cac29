// The last snapshot of each device that was asked for changes, what differs from it, and how many peers to expect.
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
  void forget(const std::string& device) {
    devices_.erase(device);
    counts_.erase(device);
  }

  void counted(const std::string& device, size_t peers) { counts_[device] = peers; }
  // Peers at the last look; 0 = never looked.
  size_t expected(const std::string& device) const {
    const auto found = counts_.find(device);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, WgSnapshot> devices_;
  std::map<std::string, size_t> counts_;
};

}  // namespace corax
