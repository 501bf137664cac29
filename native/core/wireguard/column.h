// A vector whose new entries hold anything: for columns that are made as long as is expected and then written.
// Zeroing them first costs as much as a quarter of the decoding.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace corax {

template <typename T>
struct Unwritten : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = Unwritten<U>;
  };

  template <typename U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <typename U, typename... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
  }
};

template <typename T>
using Column = std::vector<T, Unwritten<T>>;

}  // namespace corax
