#include "core/udp_packet.h"

#include <algorithm>
#include <cstring>

#include "core/wire.h"

namespace corax {

uint16_t internetChecksum(Bytes bytes, uint32_t sum) {
  size_t i = 0;
  for (; i + 1 < bytes.size; i += 2) sum += get16(bytes.data + i);
  if (i < bytes.size) sum += uint32_t{bytes.data[i]} << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::array<uint8_t, udpHeaderSize> udpHeader(in_addr source, uint16_t sourcePort, in_addr destination,
                                              uint16_t destinationPort, Bytes payload) {
  const uint16_t length = static_cast<uint16_t>(udpHeaderSize + payload.size);
  std::array<uint8_t, udpHeaderSize> header{};
  put16(&header[0], sourcePort);
  put16(&header[2], destinationPort);
  put16(&header[4], length);
  const uint32_t from = ntohl(source.s_addr);
  const uint32_t to = ntohl(destination.s_addr);
  // RFC 768, the pseudo header; the sum of 9 half words cannot overflow.
  const uint32_t sum = (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + IPPROTO_UDP + length +
                       sourcePort + destinationPort + length;
  const uint16_t checksum = internetChecksum(payload, sum);
  // RFC 768: 0 says that there is no checksum.
  put16(&header[6], checksum == 0 ? 0xffff : checksum);
  return header;
}

std::optional<UdpPacket> parseUdp(Bytes packet) {
  if (packet.size < 20 || packet.data[0] >> 4 != 4) return std::nullopt;
  const uint8_t* ip = packet.data;
  const size_t headerSize = size_t{ip[0] & 0xfu} * 4;
  const size_t total = get16(ip + 2);
  if (headerSize < 20 || total > packet.size || total < headerSize + udpHeaderSize) return std::nullopt;
  if (ip[9] != IPPROTO_UDP || (get16(ip + 6) & 0x3fff) != 0) return std::nullopt;

  const uint8_t* udp = ip + headerSize;
  const size_t length = get16(udp + 4);
  if (length < udpHeaderSize || length > total - headerSize) return std::nullopt;
  if (length > udpHeaderSize + maxUdpPayload) return std::nullopt;
  UdpPacket parsed{{}, {}, get16(udp), get16(udp + 2), {udp + udpHeaderSize, length - udpHeaderSize}};
  std::memcpy(&parsed.source, ip + 12, sizeof parsed.source);
  std::memcpy(&parsed.destination, ip + 16, sizeof parsed.destination);
  return parsed;
}

std::optional<StunPacket> parseStunResponse(Bytes packet) {
  const auto udp = parseUdp(packet);
  if (!udp || udp->payload.size < stunHeaderSize) return std::nullopt;
  const uint16_t type = get16(udp->payload.data);
  if (type != stunBindingSuccess && type != stunBindingError) return std::nullopt;
  if (get32(udp->payload.data + 4) != stunMagicCookie) return std::nullopt;
  return StunPacket{udp->source, udp->sourcePort, udp->destinationPort, udp->payload};
}

std::optional<StunPacket> parseStunResponse(Bytes packet, const std::vector<uint16_t>& ports) {
  const auto parsed = parseStunResponse(packet);
  const bool wanted = parsed && std::find(ports.begin(), ports.end(), parsed->destinationPort) != ports.end();
  return wanted ? parsed : std::nullopt;
}

}  // namespace corax
