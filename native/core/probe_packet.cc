#include "core/probe_packet.h"

#include <cstring>

#include "core/udp_packet.h"
#include "core/wire.h"

namespace corax {
namespace {

// RFC 792
constexpr uint8_t echoReply = 0;
constexpr uint8_t echoRequest = 8;

ProbeHead encode(uint8_t type, uint16_t identifier, const ProbeMessage& message) {
  ProbeHead head{};
  head[0] = type;
  put16(&head[4], identifier);
  put16(&head[6], static_cast<uint16_t>(message.sequence));
  uint8_t* payload = &head[icmpHeaderSize];
  put32(payload, probeMagic);
  payload[4] = probeVersion;
  payload[5] = message.state;
  put64(payload + 8, message.token);
  put32(payload + 16, message.target);
  put32(payload + 20, message.sequence);
  put16(&head[2], internetChecksum({head.data(), head.size()}));
  return head;
}

}  // namespace

uint16_t probeIdentifier(uint64_t token, uint8_t tos) { return static_cast<uint16_t>((token & 0xffff) ^ tos); }

ProbeHead encodeProbe(const ProbeMessage& message) {
  return encode(echoRequest, probeIdentifier(message.token, message.tos), message);
}

ProbeHead encodeReply(const ReceivedProbe& request) {
  const ProbeMessage message{request.token, request.target, request.sequence, request.state, request.tos};
  return encode(echoReply, request.identifier, message);
}

std::optional<ReceivedProbe> parseProbe(const uint8_t* data, size_t length) {
  if (length < 20 || data[0] >> 4 != 4) return std::nullopt;
  const size_t headerSize = size_t{data[0] & 0xfu} * 4;
  const uint16_t total = get16(data + 2);
  if (headerSize < 20 || length < headerSize + probeHeadSize || total < headerSize + probeHeadSize)
    return std::nullopt;
  if (data[9] != IPPROTO_ICMP || (get16(data + 6) & 0x3fff) != 0) return std::nullopt;

  const uint8_t* icmp = data + headerSize;
  const uint8_t* payload = icmp + icmpHeaderSize;
  if ((icmp[0] != echoReply && icmp[0] != echoRequest) || icmp[1] != 0) return std::nullopt;
  if (get32(payload) != probeMagic || payload[4] != probeVersion || get16(payload + 6) != 0) return std::nullopt;

  ReceivedProbe probe{};
  probe.reply = icmp[0] == echoReply;
  std::memcpy(&probe.source, data + 12, sizeof probe.source);
  std::memcpy(&probe.destination, data + 16, sizeof probe.destination);
  // Without the ECN bits (RFC 3168 section 5), which routers may set.
  probe.tos = data[1] & 0xfc;
  probe.packetSize = total;
  probe.identifier = get16(icmp + 4);
  probe.token = get64(payload + 8);
  probe.target = get32(payload + 16);
  probe.sequence = get32(payload + 20);
  probe.state = payload[5];
  if (get16(icmp + 6) != (probe.sequence & 0xffff)) return std::nullopt;
  return probe;
}

}  // namespace corax
