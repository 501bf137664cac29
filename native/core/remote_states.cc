#include "core/remote_states.h"

#include <functional>

namespace corax {

size_t RemoteStates::Hash::operator()(const ProbePath& path) const {
  const uint64_t addresses = uint64_t{path.source.s_addr} << 32 | path.destination.s_addr;
  return std::hash<uint64_t>{}((addresses ^ path.tos) * 0x9e3779b97f4a7c15u);
}

void RemoteStates::add(const ProbePath& path) {
  Entry& entry = entries_[path];
  entry.targets++;
  entry.state.reset();
}

void RemoteStates::remove(const ProbePath& path) {
  const auto found = entries_.find(path);
  if (found != entries_.end() && --found->second.targets == 0) entries_.erase(found);
}

EchoAdmission::Seen* RemoteStates::echoes(const ProbePath& path) {
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : &found->second.echoes;
}

void RemoteStates::answered(const ProbePath& path, uint32_t ifindex) {
  const auto found = entries_.find(path);
  if (found != entries_.end()) found->second.ifindex = ifindex;
}

bool RemoteStates::update(const ProbePath& path, uint32_t ifindex, uint8_t state, Clock::time_point now) {
  const auto found = entries_.find(path);
  if (found == entries_.end() || found->second.ifindex != ifindex) return false;
  if (found->second.state == state || !mayTell(now)) return false;
  found->second.state = state;
  return true;
}

void RemoteStates::forget(const ProbePath& path) {
  const auto found = entries_.find(path);
  if (found != entries_.end()) found->second.state.reset();
}

bool RemoteStates::mayTell(Clock::time_point now) {
  if (now - windowStart_ >= std::chrono::seconds(1)) {
    windowStart_ = now;
    toldInWindow_ = 0;
  }
  return toldInWindow_++ < maxChangesPerSecond;
}

}  // namespace corax
