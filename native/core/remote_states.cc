#include "core/remote_states.h"

namespace corax {

bool RemoteStates::update(in_addr address, uint8_t tos, uint8_t state, Clock::time_point now) {
  const auto found = entries_.find(key(address, tos));
  if (found != entries_.end()) {
    found->second.heard = now;
    if (found->second.state == state || !mayTell(now)) return false;
    found->second.state = state;
    return true;
  }
  if (entries_.size() >= maxEntries) sweep(now);
  if (entries_.size() >= maxEntries || !mayTell(now)) return false;
  entries_.emplace(key(address, tos), Entry{now, state});
  return true;
}

bool RemoteStates::mayTell(Clock::time_point now) {
  if (now - windowStart_ >= std::chrono::seconds(1)) {
    windowStart_ = now;
    toldInWindow_ = 0;
  }
  return toldInWindow_++ < maxChangesPerSecond;
}

void RemoteStates::sweep(Clock::time_point now) {
  // A flood of new addresses must not cost a sweep each.
  if (now - lastSweep_ < std::chrono::seconds(10)) return;
  lastSweep_ = now;
  for (auto entry = entries_.begin(); entry != entries_.end();)
    entry = now - entry->second.heard >= stale ? entries_.erase(entry) : std::next(entry);
}

}  // namespace corax
