// Writes attributes into room that is known to suffice.
//
// It holds one pointer, which the compiler keeps in a register. Through MessageBatch's own members each byte that is
// stored may alias them (it is a uint8_t), so that they are loaded again for each attribute: four times the
// instructions, for a dozen attributes a peer and thousands of peers.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>

namespace corax {

class AttributeWriter {
 public:
  explicit AttributeWriter(uint8_t* at) : at_(at) {}

  // The header of a nest; what is in it follows. `size` is all of it, this header too.
  void nest(uint16_t type, size_t size) {
    head(type | NLA_F_NESTED, size);
    at_ += NLA_HDRLEN;
  }

  template <size_t size>
  void bytes(uint16_t type, const void* value) {
    constexpr size_t length = NLA_HDRLEN + size;
    head(type, length);
    if constexpr (NLA_ALIGN(length) > length) std::memset(at_ + NLA_ALIGN(length) - NLA_ALIGNTO, 0, NLA_ALIGNTO);
    std::memcpy(at_ + NLA_HDRLEN, value, size);
    at_ += NLA_ALIGN(length);
  }

  template <typename Value>
  void value(uint16_t type, const Value& value) {
    bytes<sizeof value>(type, &value);
  }

  const uint8_t* at() const { return at_; }

 private:
  void head(int type, size_t size) {
    const nlattr head{static_cast<uint16_t>(size), static_cast<uint16_t>(type)};
    std::memcpy(at_, &head, sizeof head);
  }

  uint8_t* at_;
};

}  // namespace corax
