#include "core/handshake_pairs.h"

#include <functional>

namespace corax {

size_t OpenHandshakes::Hash::operator()(const Key& key) const {
  const uint64_t where = uint64_t{key.address.s_addr} << 32 | key.index;
  return std::hash<uint64_t>{}((where ^ key.port) * 0x9e3779b97f4a7c15u);
}

void OpenHandshakes::begin(const Key& key, int64_t stamp, Clock::time_point now) {
  if (due_.size() >= most || open_.count(key) != 0) return;
  open_.emplace(key, Begun{stamp, ++begun_});
  due_.push_back({key, begun_, now + patience_});
}

std::optional<int64_t> OpenHandshakes::end(const Key& key) {
  const auto found = open_.find(key);
  if (found == open_.end()) return std::nullopt;
  const int64_t stamp = found->second.stamp;
  open_.erase(found);
  return stamp;
}

size_t OpenHandshakes::expire(Clock::time_point now) {
  size_t expired = 0;
  for (; !due_.empty() && due_.front().at <= now; due_.pop_front()) {
    const auto found = open_.find(due_.front().key);
    if (found == open_.end() || found->second.number != due_.front().number) continue;
    open_.erase(found);
    ++expired;
  }
  return expired;
}

std::optional<Clock::time_point> OpenHandshakes::next() const {
  if (due_.empty()) return std::nullopt;
  return due_.front().at;
}

}  // namespace corax
