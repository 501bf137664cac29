// The earliest of many deadlines: a binary min-heap over slots 0…n−1 that knows where each slot is, so that a
// deadline moves in O(log n) without allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/event_source.h"

namespace corax {

class DeadlineHeap {
 public:
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  Clock::time_point time() const { return heap_.front().time; }
  uint32_t slot() const { return heap_.front().slot; }

  // Adds the slot or moves its deadline.
  void set(uint32_t slot, Clock::time_point time) {
    if (slot >= position_.size()) position_.resize(slot + 1, absent);
    size_t at = position_[slot];
    if (at == absent) {
      at = heap_.size();
      heap_.push_back({time, slot});
      position_[slot] = at;
      up(at);
      return;
    }
    const bool earlier = time < heap_[at].time;
    heap_[at].time = time;
    earlier ? up(at) : down(at);
  }

  void remove(uint32_t slot) {
    if (slot >= position_.size() || position_[slot] == absent) return;
    const size_t at = position_[slot];
    position_[slot] = absent;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (last.slot == slot) return;
    place(at, last);
    up(at);
    down(position_[last.slot]);
  }

 private:
  static constexpr size_t absent = SIZE_MAX;
  struct Entry {
    Clock::time_point time;
    uint32_t slot;
  };

  void place(size_t at, Entry entry) {
    heap_[at] = entry;
    position_[entry.slot] = at;
  }

  void up(size_t at) {
    const Entry entry = heap_[at];
    while (at > 0) {
      const size_t parent = (at - 1) / 2;
      if (!(entry.time < heap_[parent].time)) break;
      place(at, heap_[parent]);
      at = parent;
    }
    place(at, entry);
  }

  void down(size_t at) {
    const Entry entry = heap_[at];
    for (;;) {
      size_t child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1].time < heap_[child].time) ++child;
      if (!(heap_[child].time < entry.time)) break;
      place(at, heap_[child]);
      at = child;
    }
    place(at, entry);
  }

  std::vector<Entry> heap_;
  std::vector<size_t> position_;
};

}  // namespace corax
