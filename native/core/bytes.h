// A view of bytes that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace corax {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

// Zeroes memory that held keys, however plain it is that nobody reads it any more. Not explicit_bzero(): above 2 KiB
// that is one "rep stosb", which emulated processors, and the clock that the benchmarks go by, take byte by byte.
inline void wipe(void* memory, size_t size) {
  constexpr size_t step = 64;
  auto* at = static_cast<uint8_t*>(memory);
  for (; size >= step; at += step, size -= step) {
    std::memset(at, 0, step);
    __asm__ __volatile__("" : : "r"(at) : "memory");
  }
  if (size > 0) ::explicit_bzero(at, size);
}

}  // namespace corax
