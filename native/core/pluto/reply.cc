#include "core/pluto/reply.h"

#include <algorithm>
#include <cerrno>

#include "core/failure.h"

namespace corax {
namespace {

// RC_NOTIFICATION and the numbers behind it (RFC 7296 3.10.1) take up to five digits.
constexpr size_t minDigits = 3, maxDigits = 5;
constexpr size_t quoted = 60;

bool isDigit(char letter) { return letter >= '0' && letter <= '9'; }

void makePrintable(char* begin, char* end) {
  std::replace_if(begin, end, [](char letter) { return letter < ' ' || letter > '~'; }, '?');
}

[[noreturn]] void refuse(std::string problem, std::string_view seen) {
  std::string words(seen.substr(0, quoted));
  makePrintable(words.data(), words.data() + words.size());
  throw Failure(FailureCode::pluto, EBADMSG,
                "what came is no answer of pluto's: " + problem + ": \"" + words + "\"; is that its control socket?");
}

}  // namespace

PlutoReply PlutoReply::parse(std::string bytes) {
  PlutoReply reply;
  reply.bytes_ = std::move(bytes);
  std::string& all = reply.bytes_;
  if (all.size() > maxBytes) refuse("it is longer than " + std::to_string(maxBytes) + " bytes", all);
  for (size_t at = 0; at < all.size();) {
    const std::string_view rest = std::string_view(all).substr(at, maxLine + 1);
    const std::string which = "line " + std::to_string(reply.lines_.size() + 1);
    const size_t size = rest.find('\n');
    if (size == std::string_view::npos) refuse(which + (rest.size() > maxLine ? " is too long" : " is cut off"), rest);
    if (reply.lines_.size() >= maxLines) refuse("it has more than " + std::to_string(maxLines) + " lines", rest);
    uint32_t code = 0;
    size_t digits = 0;
    for (; digits < size && digits < maxDigits && isDigit(rest[digits]); digits++) {
      code = code * 10 + static_cast<uint32_t>(rest[digits] - '0');
    }
    if (digits < minDigits || digits >= size || rest[digits] != ' ') {
      refuse(which + " does not begin with a number and a space", rest.substr(0, size));
    }
    const size_t text = at + digits + 1;
    makePrintable(all.data() + text, all.data() + at + size);
    reply.lines_.push_back({code, static_cast<uint32_t>(text), static_cast<uint32_t>(at + size - text)});
    at += size + 1;
  }
  return reply;
}

PlutoReply::Line PlutoReply::line(size_t index) const {
  const Place& place = lines_[index];
  return {place.code, std::string_view(bytes_).substr(place.offset, place.size)};
}

PlutoVersion PlutoVersion::in(const PlutoReply& status) {
  // At a line's beginning: no connection's name can say it, they stand in quotes.
  constexpr std::string_view versionKey = "pluto_version=", vendorKey = "pluto_vendorid=";
  for (size_t index = 0; index < status.count(); index++) {
    const std::string_view text = status.line(index).text;
    if (text.substr(0, versionKey.size()) != versionKey) continue;
    const auto until = [&](size_t begin) { return std::string(text.substr(begin, text.find(',', begin) - begin)); };
    const size_t vendor = text.find(vendorKey);
    PlutoVersion found{until(versionKey.size()), vendor == std::string_view::npos ? "" : until(vendor + vendorKey.size())};
    if (found.version.empty()) break;
    return found;
  }
  throw Failure(FailureCode::pluto, EBADMSG, "pluto's status does not say which version it is; is it libreswan's?");
}

}  // namespace corax
