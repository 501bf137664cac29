#include "core/json_form.h"

#include <cctype>
#include <cstddef>
#include <cstring>

namespace corax {
namespace {

class Scanner {
 public:
  explicit Scanner(const std::string& text) : at_(text.data()), end_(at_ + text.size()) {}

  bool wholeObject() {
    blanks();
    if (at_ == end_ || *at_ != '{' || !value(0)) return false;
    blanks();
    return at_ == end_;
  }

 private:
  static constexpr int maxDepth = 64;

  bool take(char wanted) {
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }

  void blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }

  bool value(int depth) {
    if (at_ == end_ || depth > maxDepth) return false;
    switch (*at_) {
      case '{': return list('}', true, depth);
      case '[': return list(']', false, depth);
      case '"': return string();
      case 't': return word("true");
      case 'f': return word("false");
      case 'n': return word("null");
      default: return number();
    }
  }

  bool list(char close, bool named, int depth) {
    ++at_;
    blanks();
    if (take(close)) return true;
    for (;;) {
      blanks();
      if (named) {
        if (!string()) return false;
        blanks();
        if (!take(':')) return false;
        blanks();
      }
      if (!value(depth + 1)) return false;
      blanks();
      if (take(close)) return true;
      if (!take(',')) return false;
    }
  }

  bool string() {
    if (!take('"')) return false;
    while (at_ != end_) {
      const unsigned char c = static_cast<unsigned char>(*at_++);
      if (c == '"') return true;
      if (c < 0x20) return false;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }

  bool escape() {
    if (at_ == end_) return false;
    const char c = *at_++;
    if (c != 'u') return c != '\0' && std::strchr("\"\\/bfnrt", c) != nullptr;
    for (int i = 0; i < 4; ++i, ++at_)
      if (at_ == end_ || std::isxdigit(static_cast<unsigned char>(*at_)) == 0) return false;
    return true;
  }

  bool word(const char* wanted) {
    const size_t length = std::strlen(wanted);
    if (static_cast<size_t>(end_ - at_) < length || std::memcmp(at_, wanted, length) != 0) return false;
    at_ += length;
    return true;
  }

  bool digits() {
    const char* start = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ != start;
  }

  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      return digits();
    }
    return true;
  }

  const char* at_;
  const char* end_;
};

}  // namespace

bool isJsonObject(const std::string& text) { return Scanner(text).wholeObject(); }

}  // namespace corax
