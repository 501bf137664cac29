// What reads bytes of the network's, on bytes that nobody should send.
#include <cstring>
#include <memory>

#include "core/json_form.h"
#include "core/probe_packet.h"
#include "core/udp_packet.h"
#include "test/check.h"
#include "test/packets.h"

namespace corax::test {
namespace {

// A copy on the heap of just its size, so that the sanitizer sees a read beyond the end.
template <typename F>
auto exactly(const Packet& packet, F&& read) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[packet.size()]);
  if (!packet.empty()) std::memcpy(copy.get(), packet.data(), packet.size());
  return read(copy.get(), packet.size());
}

Packet probe(const ProbeMessage& message, const IpFields& fields, size_t padding) {
  const ProbeHead head = encodeProbe(message);
  Packet icmp(head.begin(), head.end());
  icmp.resize(icmp.size() + padding);
  return ipPacket(fields, icmp);
}

void mutate(Packet& packet, Random& random) {
  for (uint32_t flips = random() % 6; flips > 0 && !packet.empty(); --flips)
    packet[random() % packet.size()] = static_cast<uint8_t>(random());
  if (random() % 3 == 0) packet.resize(random() % (packet.size() + 40));
}

}  // namespace

TEST("a probe comes back as it was written, with a right checksum") {
  IpFields fields;
  fields.protocol = IPPROTO_ICMP;
  fields.tos = 0x10;
  for (const size_t padding : {0u, 4u, 1361u, 1400u}) {
    const Packet packet = probe({0xfedcba9876543210, 4'000'000'000, 0xdeadbeef, 200, 0x10}, fields, padding);
    CHECK_EQ(internetChecksum({&packet[20], packet.size() - 20}), 0);
    const auto read = parseProbe(packet.data(), packet.size());
    CHECK(read.has_value());
    CHECK(!read->reply);
    CHECK_EQ(read->token, 0xfedcba9876543210);
    CHECK_EQ(read->target, 4'000'000'000);
    CHECK_EQ(read->sequence, 0xdeadbeef);
    CHECK_EQ(read->state, 200);
    CHECK_EQ(read->tos, 0x10);
    CHECK_EQ(read->identifier, probeIdentifier(0xfedcba9876543210, 0x10));
    CHECK_EQ(read->packetSize, packet.size());
    CHECK_EQ(textOf(read->source), textOf(fields.source));
    CHECK_EQ(textOf(read->destination), textOf(fields.destination));
    // No more than the head has been read of it.
    CHECK(parseProbe(packet.data(), 20 + probeHeadSize).has_value());
    CHECK(!parseProbe(packet.data(), 20 + probeHeadSize - 1).has_value());
  }
}

TEST("a UDP checksum is what RFC 768 says") {
  // Computed by hand: 192.0.2.1:4500 to 198.51.100.2:3478, "abc".
  const Packet payload{'a', 'b', 'c'};
  const auto header = udpHeader(ip("192.0.2.1"), 4500, ip("198.51.100.2"), 3478, {payload.data(), payload.size()});
  uint32_t sum = 0xc000 + 0x0201 + 0xc633 + 0x6402 + 17 + 11 + 4500 + 3478 + 11 + 0x6162 + 0x6300;
  sum = (sum & 0xffff) + (sum >> 16);
  CHECK_EQ(get16(&header[6]), 0xffff - sum);
  // A sum of all ones must not be written as "no checksum".
  Packet filler{0, 0};
  const auto plain = udpHeader(ip("192.0.2.1"), 4500, ip("198.51.100.2"), 3478, {filler.data(), 2});
  put16(filler.data(), get16(&plain[6]));
  CHECK_EQ(get16(&udpHeader(ip("192.0.2.1"), 4500, ip("198.51.100.2"), 3478, {filler.data(), 2})[6]), 0xffff);
}

TEST("STUN packets: source, port and payload; lengths that lie are refused") {
  const std::vector<uint16_t> ports{4500};
  const Packet message = stunMessage(12);
  Packet packet = udpPacket(4500, message);
  const auto read = parseStunResponse({packet.data(), packet.size()}, ports);
  CHECK(read.has_value());
  CHECK_EQ(textOf(read->source), "192.0.2.1");
  CHECK_EQ(read->sourcePort, 3478);
  CHECK(Packet(read->payload.data, read->payload.data + read->payload.size) == message);
  // Bytes after the IP packet (padding of a frame) are not payload.
  Packet padded = packet;
  padded.resize(padded.size() + 6);
  CHECK_EQ(parseStunResponse({padded.data(), padded.size()}, ports)->payload.size, message.size());

  CHECK(!parseStunResponse({packet.data(), packet.size() - 1}, ports).has_value());
  Packet longUdp = packet;
  put16(&longUdp[24], static_cast<uint16_t>(8 + message.size() + 1));
  CHECK(!parseStunResponse({longUdp.data(), longUdp.size()}, ports).has_value());
  Packet shortUdp = packet;
  put16(&shortUdp[24], 27);
  CHECK(!parseStunResponse({shortUdp.data(), shortUdp.size()}, ports).has_value());
  Packet noHeader = packet;
  noHeader[0] = 0x44;
  CHECK(!parseStunResponse({noHeader.data(), noHeader.size()}, ports).has_value());
}

TEST("no bytes make the parsers read beyond their end") {
  Random random(2);
  const std::vector<uint16_t> ports{4500};
  int good = 0;
  for (int i = 0; i < 200'000; ++i) {
    IpFields fields;
    fields.words = static_cast<uint8_t>(5 + random() % 11);
    fields.protocol = random() % 2 == 0 ? IPPROTO_ICMP : IPPROTO_UDP;
    Packet packet = fields.protocol == IPPROTO_ICMP
                        ? probe({uint64_t{random()} << 32 | random(), random(), random(), 1, 0}, fields, random() % 32)
                        : udpPacket(4500, stunMessage(random() % 32), fields);
    mutate(packet, random);
    good += exactly(packet, [](const uint8_t* data, size_t size) { return parseProbe(data, size).has_value(); });
    good += exactly(packet, [&](const uint8_t* data, size_t size) {
      const auto read = parseStunResponse({data, size}, ports);
      if (!read) return false;
      CHECK(read->payload.data >= data && read->payload.data + read->payload.size <= data + size);
      return true;
    });
  }
  CHECK(good > 10'000);
}

TEST("JSON objects are told from everything else") {
  for (const char* text :
       {"{}", " \n{ } \t", R"({"a":1})", R"({"a":[1,-2,0,0.5,1e9,-3.2E-7,2e+1],"b":{"c":null,"d":[true,false]}})",
        R"({"a":"x\"y\\z\/\b\f\n\r\t\u00e9"})", "{\"\xc3\xa9\":[]}", R"({"a":[[],{}]})"})
    if (!isJsonObject(text)) fail(__FILE__, __LINE__, text);
  for (const char* text :
       {"", " ", "[]", "1", "\"{}\"", "null", "{", "}", "{}}", "{}{}", "{},", "{a:1}", "{\"a\"}", "{\"a\":}",
        "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}", "{\"a\":[1,]}", "{\"a\":[1 2]}", "{\"a\":01}", "{\"a\":1.}",
        "{\"a\":.5}", "{\"a\":+1}", "{\"a\":-}", "{\"a\":1e}", "{\"a\":tru}", "{\"a\":nulll}", "{\"a\":'b'}",
        "{\"a\":\"b}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\n\"}", "{\"a\":1}\ninclude \"/etc/passwd\"",
        "{\ninclude \"/etc/passwd\"\n}", "list ruleset", "{} # comment"})
    if (isJsonObject(text)) fail(__FILE__, __LINE__, text);
  const auto nested = [](size_t depth) {
    std::string text = "{\"a\":";
    return text + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  CHECK(isJsonObject(nested(64)));
  CHECK(!isJsonObject(nested(65)));
  CHECK(!isJsonObject(nested(1'000'000)));
  CHECK(!isJsonObject(std::string("{\"a\":\"\0\"}", 9)));
  CHECK(!isJsonObject(std::string("{}\0", 3)));
}

}  // namespace corax::test
