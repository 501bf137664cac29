// What the other ends' probes say of the path that they are on.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <unordered_map>

#include "core/event_source.h"

namespace corax {

// Anyone who can reach this node may fill it, hence the bounds. The latest state by source address and TOS.
class RemoteStates {
 public:
  static constexpr size_t maxEntries = 16'384;
  // Changes told in one second; what is beyond is not taken, so that the sender's next probe tells it.
  static constexpr uint32_t maxChangesPerSecond = 2'000;
  // Who was silent for so long makes room when the table is full.
  static constexpr std::chrono::seconds stale{120};

  // True when it differs from the last one that was taken.
  bool update(in_addr address, uint8_t tos, uint8_t state, Clock::time_point now);
  // The next one will be told, whatever it says.
  void forget(in_addr address, uint8_t tos) { entries_.erase(key(address, tos)); }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Clock::time_point heard;
    uint8_t state;
  };

  static uint64_t key(in_addr address, uint8_t tos) { return uint64_t{address.s_addr} << 8 | tos; }
  bool mayTell(Clock::time_point now);
  void sweep(Clock::time_point now);

  std::unordered_map<uint64_t, Entry> entries_;
  Clock::time_point windowStart_{};
  uint32_t toldInWindow_ = 0;
  Clock::time_point lastSweep_{};
};

}  // namespace corax
