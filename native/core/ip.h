// Addresses and prefixes as the kernel holds them.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "core/bytes.h"

namespace corax {

struct Ip {
  // 4 or 6
  uint8_t family = 4;
  // Network order; an IPv4 address takes the first 4.
  std::array<uint8_t, 16> bytes{};

  size_t size() const { return family == 4 ? 4 : 16; }
  Bytes view() const { return {bytes.data(), size()}; }
  // AF_INET or AF_INET6
  uint8_t addressFamily() const;
  uint8_t maxPrefix() const { return family == 4 ? 32 : 128; }
  bool operator==(const Ip& other) const { return family == other.family && bytes == other.bytes; }

  static std::optional<Ip> parse(const std::string& text);
  // 4 or 16 bytes, else nothing.
  static std::optional<Ip> from(Bytes raw);
  std::string text() const;
};

struct IpPrefix {
  Ip ip;
  uint8_t length = 0;

  // "10.0.0.0/8". Host bits are kept: whether they may be set is the caller's matter.
  static std::optional<IpPrefix> parse(const std::string& text);
  bool hasHostBits() const;
  std::string text() const;
};

// Columns hold 16 bytes an address: IPv4 as an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2).
constexpr uint8_t mappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
inline bool isMapped(const uint8_t* sixteen) { return std::memcmp(sixteen, mappedPrefix, sizeof mappedPrefix) == 0; }
inline void putMapped(uint8_t* sixteen, const uint8_t* four) {
  std::memcpy(sixteen, mappedPrefix, sizeof mappedPrefix);
  std::memcpy(sixteen + sizeof mappedPrefix, four, 4);
}

}  // namespace corax
