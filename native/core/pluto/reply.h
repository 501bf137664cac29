// What pluto answers: lines of a number, a space and words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corax {

class PlutoReply {
 public:
  // Enough for the status of some ten thousand connections.
  static constexpr size_t maxBytes = 32u << 20;
  static constexpr size_t maxLines = 1u << 18;
  // whack itself reads no more than half of it at a time.
  static constexpr size_t maxLine = 8192;

  struct Line {
    uint32_t code;
    // Printable ASCII; what is not stands as "?".
    std::string_view text;
  };

  // Takes what came until pluto closed the connection; "" is a reply of no lines. Throws Failure (pluto, EBADMSG) where
  // it is none, with the first words that are not right.
  static PlutoReply parse(std::string bytes);

  size_t count() const { return lines_.size(); }
  Line line(size_t index) const;

 private:
  struct Place {
    uint32_t code, offset, size;
  };
  std::string bytes_;
  std::vector<Place> lines_;
};

struct PlutoVersion {
  // "4.10"
  std::string version;
  // "OE-Libreswan-4.10"
  std::string vendor;

  // From a status. Throws Failure (pluto, EBADMSG) where pluto did not say.
  static PlutoVersion in(const PlutoReply& status);
};

}  // namespace corax
