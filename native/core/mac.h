// Ethernet addresses.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/bytes.h"

namespace corax {

struct Mac {
  std::array<uint8_t, 6> bytes{};

  Bytes view() const { return {bytes.data(), bytes.size()}; }
  bool operator==(const Mac& other) const { return bytes == other.bytes; }

  // "aa:0f:f0:00:00:02"
  static std::optional<Mac> parse(const std::string& text);
  // 6 bytes, else nothing.
  static std::optional<Mac> from(Bytes raw);
  std::string text() const;
};

}  // namespace corax
