// Netlink messages, one after another in one buffer, so that one send carries many of them.
#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/failure.h"
#include "core/netlink/attribute_writer.h"

namespace corax {

class MessageBatch {
 public:
  MessageBatch() = default;
  explicit MessageBatch(size_t reserve) { grow(reserve); }
  // Whatever becomes of the conversation, no key outlives its batch.
  ~MessageBatch() { wipe(); }
  MessageBatch(MessageBatch&& other) noexcept
      : buffer_(std::move(other.buffer_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)),
        starts_(std::move(other.starts_)),
        start_(other.start_) {}
  MessageBatch& operator=(MessageBatch&&) = delete;

  void begin(uint16_t type, uint16_t flags) {
    start_ = size_;
    starts_.push_back(start_);
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    put(&header, sizeof header);
  }

  void end() {
    const auto length = static_cast<uint32_t>(size_ - start_);
    std::memcpy(&buffer_[start_ + offsetof(nlmsghdr, nlmsg_len)], &length, sizeof length);
  }

  // The fixed header after nlmsghdr (genlmsghdr, ifinfomsg, rtmsg, …).
  template <typename Header>
  void header(const Header& value) {
    put(&value, sizeof value);
  }

  void attribute(uint16_t type, const void* value, size_t size) {
    const size_t length = NLA_HDRLEN + size;
    if (length > UINT16_MAX) throw Failure::system(FailureCode::netlink, "netlink attribute", EMSGSIZE);
    const nlattr head{static_cast<uint16_t>(length), type};
    uint8_t* at = extend(length);
    std::memcpy(at, &head, sizeof head);
    if (size > 0) std::memcpy(at + NLA_HDRLEN, value, size);
  }
  void attribute(uint16_t type, Bytes value) { attribute(type, value.data, value.size); }
  template <typename Integer>
  void integer(uint16_t type, Integer value) {
    attribute(type, &value, sizeof value);
  }
  // With its NUL, as NLA_NUL_STRING asks.
  void text(uint16_t type, const std::string& value) { attribute(type, value.c_str(), value.size() + 1); }

  // Gives the handle for close(). A nest longer than 65,535 bytes cannot be said: close() throws EMSGSIZE.
  size_t open(uint16_t type) {
    const size_t at = size_;
    const nlattr head{0, static_cast<uint16_t>(type | NLA_F_NESTED)};
    put(&head, sizeof head);
    return at;
  }
  void close(size_t at) {
    const size_t length = size_ - at;
    if (length > UINT16_MAX) throw Failure::system(FailureCode::netlink, "netlink nest", EMSGSIZE);
    const auto stored = static_cast<uint16_t>(length);
    std::memcpy(&buffer_[at + offsetof(nlattr, nla_len)], &stored, sizeof stored);
  }

  // For attributes of which there are thousands, and whose sizes are known beforehand: room for so many bytes, a
  // multiple of NLA_ALIGNTO. All of it is to be written, and nothing else is put until wrote().
  AttributeWriter write(size_t size) { return AttributeWriter(extend(size)); }
  void wrote(const AttributeWriter& writer) const {
    if (writer.at() != buffer_.get() + size_) throw std::logic_error("netlink attributes are not as long as was said");
  }

  // Numbers the messages first, first + 1, …
  void number(uint32_t first) {
    for (size_t index = 0; index < starts_.size(); index++) {
      const uint32_t sequence = first + static_cast<uint32_t>(index);
      std::memcpy(&buffer_[starts_[index] + offsetof(nlmsghdr, nlmsg_seq)], &sequence, sizeof sequence);
    }
  }
  void addFlagsToLast(uint16_t flags) {
    uint16_t stored;
    uint8_t* at = &buffer_[starts_.back() + offsetof(nlmsghdr, nlmsg_flags)];
    std::memcpy(&stored, at, sizeof stored);
    stored = static_cast<uint16_t>(stored | flags);
    std::memcpy(at, &stored, sizeof stored);
  }

  size_t size() const { return size_; }
  size_t count() const { return starts_.size(); }
  bool empty() const { return starts_.empty(); }
  Bytes view() const { return {buffer_.get(), size_}; }

  void clear() {
    size_ = 0;
    starts_.clear();
  }
  // For batches that carried keys and are used again.
  void wipe() {
    corax::wipe(buffer_.get(), size_);
    clear();
  }

 private:
  void put(const void* value, size_t size) {
    uint8_t* at = extend(size);
    if (size > 0) std::memcpy(at, value, size);
  }

  // Room for so many bytes and what aligns them, which is zero.
  uint8_t* extend(size_t size) {
    const size_t aligned = NLA_ALIGN(size);
    if (aligned > capacity_ - size_) grow(aligned);
    uint8_t* at = buffer_.get() + size_;
    size_ += aligned;
    if (aligned > size) std::memset(at + aligned - NLA_ALIGNTO, 0, NLA_ALIGNTO);
    return at;
  }

  void grow(size_t more) {
    const size_t capacity = std::max(size_ + more, capacity_ * 2);
    std::unique_ptr<uint8_t[]> larger(new uint8_t[capacity]);
    if (size_ > 0) {
      std::memcpy(larger.get(), buffer_.get(), size_);
      corax::wipe(buffer_.get(), size_);
    }
    buffer_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<uint8_t[]> buffer_;
  size_t size_ = 0;
  size_t capacity_ = 0;
  std::vector<size_t> starts_;
  size_t start_ = 0;
};

}  // namespace corax
