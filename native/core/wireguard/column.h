// An array of plain values, as a vector but for one thing: what resize() adds holds anything. Columns are made as long
// as is expected and then written; to zero them first costs as much as a quarter of the decoding.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>

namespace corax {

template <typename T>
class Column {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Column() = default;
  explicit Column(T only) { push_back(only); }
  Column(const Column& other) { append(other.data(), other.size()); }
  Column(Column&& other) noexcept { swap(other); }
  Column& operator=(Column other) noexcept {
    swap(other);
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return values_.get(); }
  const T* data() const { return values_.get(); }
  T& operator[](size_t index) { return values_[index]; }
  const T& operator[](size_t index) const { return values_[index]; }
  const T& back() const { return values_[size_ - 1]; }

  void resize(size_t size) {
    if (size > capacity_) grow(size);
    size_ = size;
  }
  void append(const T* values, size_t count) {
    if (count == 0) return;
    if (count > capacity_ - size_) grow(std::max(size_ + count, capacity_ * 2));
    std::memcpy(values_.get() + size_, values, count * sizeof(T));
    size_ += count;
  }
  void push_back(T value) { append(&value, 1); }

 private:
  void swap(Column& other) noexcept {
    std::swap(values_, other.values_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  void grow(size_t capacity) {
    std::unique_ptr<T[]> larger(new T[capacity]);
    if (size_ > 0) std::memcpy(larger.get(), values_.get(), size_ * sizeof(T));
    values_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<T[]> values_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace corax
