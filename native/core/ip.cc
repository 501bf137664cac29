#include "core/ip.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstring>

namespace corax {

uint8_t Ip::addressFamily() const { return family == 4 ? AF_INET : AF_INET6; }

std::optional<Ip> Ip::parse(const std::string& text) {
  // inet_pton stops at the first NUL: text that holds one is no address.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string::npos) return std::nullopt;
  Ip ip;
  ip.family = text.find(':') == std::string::npos ? 4 : 6;
  if (::inet_pton(ip.addressFamily(), text.c_str(), ip.bytes.data()) != 1) return std::nullopt;
  return ip;
}

std::optional<Ip> Ip::from(Bytes raw) {
  if (raw.size != 4 && raw.size != 16) return std::nullopt;
  Ip ip;
  ip.family = raw.size == 4 ? 4 : 6;
  std::memcpy(ip.bytes.data(), raw.data, raw.size);
  return ip;
}

std::string Ip::text() const {
  char buffer[INET6_ADDRSTRLEN];
  return ::inet_ntop(addressFamily(), bytes.data(), buffer, sizeof buffer) != nullptr ? buffer : "";
}

std::optional<IpPrefix> IpPrefix::parse(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const std::optional<Ip> ip = Ip::parse(text.substr(0, slash));
  const std::string digits = text.substr(slash + 1);
  if (!ip || digits.empty() || digits.size() > 3) return std::nullopt;
  unsigned length = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    length = length * 10 + static_cast<unsigned>(digit - '0');
  }
  if (length > ip->maxPrefix()) return std::nullopt;
  return IpPrefix{*ip, static_cast<uint8_t>(length)};
}

bool IpPrefix::hasHostBits() const {
  for (size_t index = 0; index < ip.size(); index++) {
    const size_t before = index * 8;
    const unsigned mask = before + 8 <= length ? 0u : before >= length ? 0xffu : 0xffu >> (length - before);
    if ((ip.bytes[index] & mask) != 0) return true;
  }
  return false;
}

std::string IpPrefix::text() const { return ip.text() + "/" + std::to_string(length); }

}  // namespace corax
