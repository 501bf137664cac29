// A view of bytes that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace corax {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

}  // namespace corax
