// Netlink messages, one after another in one buffer, so that one send carries many of them.
#pragma once

#include <linux/netlink.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/failure.h"

namespace corax {

class MessageBatch {
 public:
  MessageBatch() = default;
  explicit MessageBatch(size_t reserve) { buffer_.reserve(reserve); }
  // Whatever becomes of the conversation, no key outlives its batch. The buffer must have been reserved, or growing
  // it left copies behind.
  ~MessageBatch() { wipe(); }
  MessageBatch(MessageBatch&&) = default;

  void begin(uint16_t type, uint16_t flags) {
    start_ = buffer_.size();
    starts_.push_back(start_);
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    put(&header, sizeof header);
  }

  void end() {
    const auto length = static_cast<uint32_t>(buffer_.size() - start_);
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
    put(&head, sizeof head);
    put(value, size);
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
    const size_t at = buffer_.size();
    const nlattr head{0, static_cast<uint16_t>(type | NLA_F_NESTED)};
    put(&head, sizeof head);
    return at;
  }
  void close(size_t at) {
    const size_t length = buffer_.size() - at;
    if (length > UINT16_MAX) throw Failure::system(FailureCode::netlink, "netlink nest", EMSGSIZE);
    const auto stored = static_cast<uint16_t>(length);
    std::memcpy(&buffer_[at + offsetof(nlattr, nla_len)], &stored, sizeof stored);
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

  size_t size() const { return buffer_.size(); }
  size_t count() const { return starts_.size(); }
  bool empty() const { return starts_.empty(); }
  Bytes view() const { return {buffer_.data(), buffer_.size()}; }

  void clear() {
    buffer_.clear();
    starts_.clear();
  }
  // For batches that carried keys and are used again.
  void wipe() {
    if (!buffer_.empty()) ::explicit_bzero(buffer_.data(), buffer_.size());
    clear();
  }

 private:
  void put(const void* value, size_t size) {
    const size_t at = buffer_.size();
    buffer_.resize(at + NLA_ALIGN(size));
    if (size > 0) std::memcpy(&buffer_[at], value, size);
  }

  std::vector<uint8_t> buffer_;
  std::vector<size_t> starts_;
  size_t start_ = 0;
};

}  // namespace corax
