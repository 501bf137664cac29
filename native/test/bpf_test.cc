
#include "core/bpf.h"
#include "core/probe_packet.h"
#include "test/bpf_interpreter.h"
#include "test/check.h"
#include "test/packets.h"

namespace corax::test {
namespace {

const std::vector<uint16_t> ports{4500, 4501};
constexpr uint64_t ours = 0x0123456789abcdef;
constexpr uint64_t theirs = 0x0123456789abcdee;

Packet echo(uint8_t type, uint64_t token, const IpFields& given = {}) {
  IpFields fields = given;
  fields.protocol = IPPROTO_ICMP;
  const ProbeHead head = encodeProbe({token, 7, 0x00010002, 3, fields.tos});
  Packet icmp(head.begin(), head.end());
  icmp[0] = type;
  return ipPacket(fields, icmp);
}

IpFields with(uint8_t words, uint16_t fragment = 0x4000) {
  IpFields fields;
  fields.words = words;
  fields.fragment = fragment;
  return fields;
}

bool passes(const BpfProgram& program, const Packet& packet) { return runBpf(program, packet) != 0; }

}  // namespace

TEST("the STUN filter passes Binding responses to its ports, whatever the IP header's length") {
  const BpfProgram filter = stunFilter(ports);
  for (uint8_t words = 5; words <= 15; ++words)
    for (const uint16_t port : ports) {
      CHECK(passes(filter, udpPacket(port, stunMessage(), with(words))));
      CHECK(passes(filter, udpPacket(port, stunMessage(0, stunBindingError), with(words))));
      CHECK(passes(filter, udpPacket(port, stunMessage(1452), with(words))));
    }
}

TEST("the STUN filter drops everything else") {
  const BpfProgram filter = stunFilter(ports);
  for (const int port : {0, 4499, 4502, 53, 65535})
    CHECK(!passes(filter, udpPacket(static_cast<uint16_t>(port), stunMessage())));
  // Fragments: the first, a later one, the last.
  for (const int fragment : {0x2000, 0x2010, 0x0010})
    CHECK(!passes(filter, udpPacket(4500, stunMessage(), with(5, static_cast<uint16_t>(fragment)))));
  CHECK(!passes(filter, udpPacket(4500, stunMessage(1453))));
  Packet cookie = stunMessage();
  cookie[7] ^= 1;
  CHECK(!passes(filter, udpPacket(4500, cookie)));
  for (const int first : {0x40, 0x80, 0xc0}) {
    Packet message = stunMessage();
    message[0] = static_cast<uint8_t>(first);
    CHECK(!passes(filter, udpPacket(4500, message)));
  }
  // Every other message type: requests, indications, other methods (RFC 8489 section 5).
  for (uint32_t type = 0; type <= 0xffff; ++type) {
    const Packet packet = udpPacket(4500, stunMessage(0, static_cast<uint16_t>(type)));
    const bool response = type == 0x0101 || type == 0x0111;
    if (passes(filter, packet) != response) fail(__FILE__, __LINE__, std::to_string(type));
    if (parseStunResponse({packet.data(), packet.size()}, ports).has_value() != response)
      fail(__FILE__, __LINE__, std::to_string(type));
  }
  // WireGuard's handshake initiation; a keepalive of NAT-T; nothing at all.
  CHECK(!passes(filter, udpPacket(4500, Packet{1, 0, 0, 0, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})));
  CHECK(!passes(filter, udpPacket(4500, Packet{0xff})));
  CHECK(!passes(filter, udpPacket(4500, {})));
  IpFields tcp;
  tcp.protocol = IPPROTO_TCP;
  CHECK(!passes(filter, udpPacket(4500, stunMessage(), tcp)));
  const Packet whole = udpPacket(4500, stunMessage());
  for (size_t length = 0; length < 20 + 8 + 8; ++length)
    CHECK(!passes(filter, Packet(whole.begin(), whole.begin() + static_cast<long>(length))));
}

TEST("the STUN filter takes 64 ports") {
  std::vector<uint16_t> many;
  for (uint16_t i = 0; i < 64; ++i) many.push_back(static_cast<uint16_t>(1000 + i));
  const BpfProgram filter = stunFilter(many);
  for (const uint16_t port : many) CHECK(passes(filter, udpPacket(port, stunMessage())));
  CHECK(!passes(filter, udpPacket(999, stunMessage())));
  CHECK(!passes(filter, udpPacket(1064, stunMessage())));
}

TEST("the probe filter passes our replies and others' requests") {
  const BpfProgram filter = probeFilter(ours);
  for (uint8_t words = 5; words <= 15; ++words) {
    CHECK(passes(filter, echo(0, ours, with(words))));
    CHECK(!passes(filter, echo(0, theirs, with(words))));
    CHECK(!passes(filter, echo(0, ours ^ (uint64_t{1} << 60), with(words))));
    CHECK(!passes(filter, echo(8, ours, with(words))));
    CHECK(passes(filter, echo(8, theirs, with(words))));
    CHECK(passes(filter, echo(8, ours ^ (uint64_t{1} << 60), with(words))));
  }
  for (const int type : {3, 5, 11, 13, 255}) CHECK(!passes(filter, echo(static_cast<uint8_t>(type), ours)));
  CHECK(!passes(filter, echo(0, ours, with(5, 0x2000))));
  Packet stranger = echo(0, ours);
  stranger[28] ^= 1;
  CHECK(!passes(filter, stranger));
  Packet code = echo(0, ours);
  code[21] = 1;
  CHECK(!passes(filter, code));
}

TEST("the probe request filter passes others' requests only") {
  const BpfProgram filter = probeRequestFilter(ours);
  for (uint8_t words = 5; words <= 15; ++words) {
    CHECK(passes(filter, echo(8, theirs, with(words))));
    CHECK(!passes(filter, echo(8, ours, with(words))));
    CHECK(!passes(filter, echo(0, ours, with(words))));
    CHECK(!passes(filter, echo(0, theirs, with(words))));
  }
  CHECK(!passes(filter, echo(8, theirs, with(5, 0x2000))));
  Packet stranger = echo(8, theirs);
  stranger[28] ^= 1;
  CHECK(!passes(filter, stranger));
  Packet code = echo(8, theirs);
  code[21] = 1;
  CHECK(!passes(filter, code));
}

TEST("filter and parser agree on mutated packets") {
  Random random(1);
  const BpfProgram stun = stunFilter(ports);
  const BpfProgram probe = probeFilter(ours);
  int stunPassed = 0;
  int probePassed = 0;
  for (int i = 0; i < 200'000; ++i) {
    const uint8_t words = static_cast<uint8_t>(5 + random() % 11);
    const bool udp = random() % 2 == 0;
    const uint16_t type = random() % 2 == 0 ? stunBindingSuccess : stunBindingError;
    Packet packet = udp ? udpPacket(ports[random() % 2], stunMessage(random() % 64, type), with(words))
                        : echo(random() % 2 == 0 ? 0 : 8, random() % 2 == 0 ? ours : theirs, with(words));
    for (uint32_t flips = random() % 3; flips > 0; --flips)
      packet[random() % packet.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    // What the kernel refuses before any socket sees it (ip_rcv) need not be agreed upon.
    if (packet[0] >> 4 != 4 || (packet[0] & 0xf) < 5 || get16(&packet[2]) != packet.size()) continue;
    const bool parsedStun = parseStunResponse({packet.data(), packet.size()}, ports).has_value();
    const bool passedStun = passes(stun, packet);
    // The filter does not compare UDP's length with IP's.
    if (parsedStun) CHECK(passedStun);
    const size_t header = size_t{packet[0] & 0xfu} * 4;
    if (passedStun && get16(&packet[header + 4]) + header <= packet.size()) CHECK(parsedStun);
    stunPassed += passedStun ? 1 : 0;

    const auto parsed = parseProbe(packet.data(), packet.size());
    const bool passedProbe = passes(probe, packet);
    if (parsed && (parsed->reply ? parsed->token == ours : parsed->token != ours)) CHECK(passedProbe);
    probePassed += passedProbe ? 1 : 0;
  }
  CHECK(stunPassed > 20'000);
  CHECK(probePassed > 10'000);
}

}  // namespace corax::test
