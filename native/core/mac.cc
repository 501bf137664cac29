#include "core/mac.h"

#include <algorithm>

namespace corax {
namespace {

constexpr char digits[] = "0123456789abcdef";
constexpr size_t textLength = 17;

// -1 where it is none.
int valueOf(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<Mac> Mac::parse(const std::string& text) {
  if (text.size() != textLength) return std::nullopt;
  Mac mac;
  for (size_t index = 0; index < mac.bytes.size(); index++) {
    const size_t at = index * 3;
    const int high = valueOf(text[at]);
    const int low = valueOf(text[at + 1]);
    if (high < 0 || low < 0 || (at + 2 < textLength && text[at + 2] != ':')) return std::nullopt;
    mac.bytes[index] = static_cast<uint8_t>(high * 16 + low);
  }
  return mac;
}

std::optional<Mac> Mac::from(Bytes raw) {
  Mac mac;
  if (raw.size != mac.bytes.size()) return std::nullopt;
  std::copy(raw.data, raw.data + raw.size, mac.bytes.begin());
  return mac;
}

std::string Mac::text() const {
  std::string text;
  for (const uint8_t byte : bytes) {
    if (!text.empty()) text += ':';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace corax
