// Key of 32 bytes → position in a column of keys. Built only when it is needed: the kernel lists its things in the
// same order each time, so that mostly the next key of one snapshot is the next of the other.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace corax {

class KeyIndex {
 public:
  static constexpr size_t keySize = 32;

  // The keys must outlive the index.
  template <typename Keys>
  explicit KeyIndex(const Keys& keys) : keys_(keys.data()) {
    // Others choose their keys: without a secret they could choose them to collide.
    if (::getrandom(seeds_, sizeof seeds_, GRND_NONBLOCK) != sizeof seeds_) std::memset(seeds_, 0x5a, sizeof seeds_);
    const size_t count = keys.size() / keySize;
    size_t slots = 16;
    while (slots < count * 2) slots *= 2;
    mask_ = slots - 1;
    slots_.assign(slots, empty);
    for (size_t position = 0; position < count; position++) {
      size_t slot = hash(keys_ + position * keySize) & mask_;
      while (slots_[slot] != empty) slot = (slot + 1) & mask_;
      slots_[slot] = static_cast<uint32_t>(position);
    }
  }

  std::optional<size_t> find(const uint8_t* key) const {
    for (size_t slot = hash(key) & mask_; slots_[slot] != empty; slot = (slot + 1) & mask_) {
      if (std::memcmp(keys_ + slots_[slot] * keySize, key, keySize) == 0) return slots_[slot];
    }
    return std::nullopt;
  }

 private:
  static constexpr uint32_t empty = UINT32_MAX;

  size_t hash(const uint8_t* key) const {
    uint64_t words[4];
    std::memcpy(words, key, sizeof words);
    uint64_t state = seeds_[4];
    for (size_t index = 0; index < 4; index++) {
      // Multiply and fold the halves: each bit of the input reaches all of the output.
      const unsigned __int128 product = static_cast<unsigned __int128>(words[index] ^ seeds_[index]) * (state | 1);
      state = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64) ^ seeds_[index];
    }
    return static_cast<size_t>(state ^ (state >> 29));
  }

  const uint8_t* keys_;
  uint64_t seeds_[5];
  size_t mask_;
  std::vector<uint32_t> slots_;
};

}  // namespace corax
