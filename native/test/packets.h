// Packets as bytes, for tests of what reads them.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/udp_packet.h"
#include "core/wire.h"
#include "test/check.h"

namespace corax::test {

// The same numbers in every run.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t operator()() { return static_cast<uint32_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

using Packet = std::vector<uint8_t>;

inline in_addr ip(const char* text) {
  in_addr address{};
  if (inet_pton(AF_INET, text, &address) != 1) throw std::invalid_argument(text);
  return address;
}

inline std::string textOf(in_addr address) {
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &address, text, sizeof text);
}

struct IpFields {
  in_addr source = ip("192.0.2.1");
  in_addr destination = ip("198.51.100.2");
  uint8_t protocol = 17;
  uint8_t tos = 0;
  uint16_t fragment = 0x4000;
  // Of the header, in 4 bytes.
  uint8_t words = 5;
};

inline Packet ipPacket(const IpFields& fields, const Packet& payload) {
  Packet packet(size_t{fields.words} * 4);
  packet[0] = static_cast<uint8_t>(0x40 | fields.words);
  packet[1] = fields.tos;
  put16(&packet[2], static_cast<uint16_t>(packet.size() + payload.size()));
  put16(&packet[6], fields.fragment);
  packet[8] = 64;
  packet[9] = fields.protocol;
  std::copy_n(reinterpret_cast<const uint8_t*>(&fields.source), 4, &packet[12]);
  std::copy_n(reinterpret_cast<const uint8_t*>(&fields.destination), 4, &packet[16]);
  // Options: no operation.
  for (size_t i = 20; i < packet.size(); ++i) packet[i] = 1;
  put16(&packet[10], internetChecksum({packet.data(), packet.size()}));
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

// A Binding success response, or of another type, with `extra` bytes of attributes.
inline Packet stunMessage(size_t extra = 0, uint16_t type = stunBindingSuccess) {
  Packet message(stunHeaderSize + extra);
  put16(&message[0], type);
  put16(&message[2], static_cast<uint16_t>(extra));
  put32(&message[4], stunMagicCookie);
  for (size_t i = 8; i < message.size(); ++i) message[i] = static_cast<uint8_t>(i * 7);
  return message;
}

inline Packet udpPacket(uint16_t destinationPort, const Packet& payload, const IpFields& fields = {}) {
  const auto header =
      udpHeader(fields.source, 3478, fields.destination, destinationPort, {payload.data(), payload.size()});
  Packet udp(header.begin(), header.end());
  udp.insert(udp.end(), payload.begin(), payload.end());
  return ipPacket(fields, udp);
}

}  // namespace corax::test
