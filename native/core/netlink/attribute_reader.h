// Reads attributes out of bytes that are not trusted: every length is checked before it is used.
#pragma once

#include <linux/netlink.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/bytes.h"
#include "core/failure.h"

namespace corax {

[[noreturn]] inline void malformed(const char* what) {
  throw Failure::system(FailureCode::netlink, std::string("malformed netlink answer, ") + what, EBADMSG);
}

// The fixed header at the start of a payload, by value.
template <typename Header>
Header readHeader(Bytes payload) {
  Header header;
  if (payload.size < sizeof header) malformed("short header");
  std::memcpy(&header, payload.data, sizeof header);
  return header;
}

// What follows that header.
inline Bytes after(Bytes payload, size_t header) {
  const size_t skip = NLMSG_ALIGN(header);
  return payload.size > skip ? Bytes{payload.data + skip, payload.size - skip} : Bytes{};
}

struct Attribute {
  uint16_t type = 0;
  Bytes value;

  // Longer than asked for is fine: kernels append to what they have.
  template <typename Integer>
  Integer integer() const {
    Integer result;
    if (value.size < sizeof result) malformed("short attribute");
    std::memcpy(&result, value.data, sizeof result);
    return result;
  }

  // Up to the first NUL, or to the end where there is none.
  std::string text() const {
    const void* end = value.size > 0 ? std::memchr(value.data, 0, value.size) : nullptr;
    const size_t length = end != nullptr ? static_cast<size_t>(static_cast<const uint8_t*>(end) - value.data) : value.size;
    return {reinterpret_cast<const char*>(value.data), length};
  }
};

// Calls visit(attribute) for each; throws EBADMSG at the first that is shorter than its header or longer
// than what is left. Up to three bytes of padding may end the list.
// Always inlined: what visit() fills in can then stay in registers from one attribute to the next.
template <typename Visit>
[[gnu::always_inline]] inline void eachAttribute(Bytes bytes, Visit&& visit) {
  while (bytes.size >= NLA_HDRLEN) {
    nlattr head;
    std::memcpy(&head, bytes.data, sizeof head);
    if (head.nla_len < NLA_HDRLEN || head.nla_len > bytes.size) malformed("attribute length");
    Attribute attribute;
    attribute.type = head.nla_type & static_cast<uint16_t>(NLA_TYPE_MASK);
    attribute.value = {bytes.data + NLA_HDRLEN, static_cast<size_t>(head.nla_len) - NLA_HDRLEN};
    visit(attribute);
    const size_t step = NLA_ALIGN(static_cast<size_t>(head.nla_len));
    if (step >= bytes.size) return;
    bytes = {bytes.data + step, bytes.size - step};
  }
}

}  // namespace corax
