// The decoders on bytes that nobody meant: captured answers with bits flipped, cut and spliced, and noise. Under
// the sanitizers nothing may be read that is not there; the only exception allowed is Failure EBADMSG.
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <linux/xfrm.h>
#include <netinet/in.h>

#include <random>

#include "core/pluto/reply.h"
#include "core/rtnl/decode.h"
#include "core/rtnl/neighbours.h"
#include "core/rtnl/watch.h"
#include "core/wireguard/decode.h"
#include "core/wireguard/history.h"
#include "core/xfrm/decode.h"
#include "core/xfrm/history.h"
#include "core/xfrm/watch.h"
#include "test/check.h"
#include "test/fake_netlink.h"

namespace corax::test {
namespace {

constexpr int iterations = 120'000;

// A whole device with peers of all kinds in a few hundred bytes; the captured ones are larger.
Datagram wireguardSeed() {
  const Datagram allowedIps =
      attribute(WGPEER_A_ALLOWEDIPS, attribute(0, attribute(WGALLOWEDIP_A_FAMILY, bytesOf(uint16_t{AF_INET})) +
                                                      attribute(WGALLOWEDIP_A_IPADDR, {10, 1, 0, 0}) +
                                                      attribute(WGALLOWEDIP_A_CIDR_MASK, {16})) +
                                             attribute(0, attribute(WGALLOWEDIP_A_FAMILY, bytesOf(uint16_t{AF_INET6})) +
                                                              attribute(WGALLOWEDIP_A_IPADDR, Datagram(16, 1)) +
                                                              attribute(WGALLOWEDIP_A_CIDR_MASK, {64})));
  const auto peer = [&](uint8_t key, const Datagram& endpoint) {
    return attribute(0, attribute(WGPEER_A_PUBLIC_KEY, Datagram(keySize, key)) + attribute(WGPEER_A_ENDPOINT, endpoint) +
                            attribute(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, {5, 0}) +
                            attribute(WGPEER_A_LAST_HANDSHAKE_TIME, Datagram(16, 1)) +
                            attribute(WGPEER_A_RX_BYTES, Datagram(8, 2)) + attribute(WGPEER_A_TX_BYTES, Datagram(8, 3)) + allowedIps);
  };
  Datagram v4(sizeof(sockaddr_in), 1), v6(sizeof(sockaddr_in6), 1);
  v4[0] = AF_INET;
  v6[0] = AF_INET6;
  v4[1] = v6[1] = 0;
  return bytesOf(genlmsghdr{WG_CMD_GET_DEVICE, 1, 0}) + attribute(WGDEVICE_A_LISTEN_PORT, {1, 2}) +
         attribute(WGDEVICE_A_PUBLIC_KEY, Datagram(keySize, 9)) + attribute(WGDEVICE_A_PEERS, peer(1, v4) + peer(2, v6));
}

// Payloads of captured messages.
std::vector<Datagram> seeds() {
  std::vector<Datagram> payloads(12, wireguardSeed());
  for (const char* name : {"links.bin", "addresses.bin", "routes4.bin", "routes6.bin", "rules.bin", "wg-dump.bin", "error-whole.bin",
                           "xfrm-states.bin", "xfrm-policies.bin", "xfrm-mapping.bin", "xfrm-expire.bin", "xfrm-acquire.bin", "overlay-link.bin",
                           "overlay-fdb.bin", "overlay-arp.bin"}) {
    for (const Datagram& datagram : fixture(name)) {
      for (Request& it : requestsIn(datagram)) {
        // Small ones mutate to more different things a second.
        if (it.payload.size() > 1200) it.payload.resize(1200);
        payloads.push_back(std::move(it.payload));
      }
    }
  }
  return payloads;
}

Datagram mutated(const std::vector<Datagram>& seeds, std::mt19937& random) {
  Datagram bytes = seeds[random() % seeds.size()];
  if (random() % 8 == 0) {
    bytes.assign(random() % 300, 0);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  }
  for (size_t count = random() % 6; count > 0 && !bytes.empty(); count--) {
    const size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0: bytes[at] ^= static_cast<uint8_t>(1u << random() % 8); break;
      case 1: bytes[at] = static_cast<uint8_t>(random()); break;
      case 2: bytes.resize(at); break;
      // A length field's usual lies.
      case 3: bytes[at & ~size_t{3}] = static_cast<uint8_t>(random() % 9); break;
      case 4: {
        const Datagram& other = seeds[random() % seeds.size()];
        const size_t from = other.empty() ? 0 : random() % other.size();
        bytes.resize(at);
        bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
      }
    }
  }
  return bytes;
}

// Exactly as large as its bytes, so that reading past them is caught.
template <typename Decode>
void survives(const Datagram& bytes, Decode&& decode) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size() + 1]);
  if (!bytes.empty()) std::memcpy(exact.get() + 1, bytes.data(), bytes.size());
  try {
    decode(NetlinkMessage{RTM_NEWROUTE, 0, {exact.get() + 1, bytes.size()}});
  } catch (const Failure& failure) {
    CHECK_EQ(failure.number(), EBADMSG);
  }
}

}  // namespace

TEST("fuzz: no bytes make the decoders read beyond them, or yield what cannot be") {
  const std::vector<Datagram> corpus = seeds();
  std::mt19937 random(20'240'607);
  WgDecoder decoder;
  XfrmStates states;
  size_t routes = 0, peers = 0, associations = 0, policies = 0, events = 0;
  for (int round = 0; round < iterations; round++) {
    const Datagram bytes = mutated(corpus, random);
    survives(bytes, [&](const NetlinkMessage& it) { (void)decodeLink(it); });
    survives(bytes, [&](const NetlinkMessage& it) { (void)decodeAddress(it); });
    survives(bytes, [&](const NetlinkMessage& it) {
      if (const auto route = decodeRoute(it)) {
        routes++;
        CHECK(route->destination.length <= route->destination.ip.maxPrefix());
      }
    });
    survives(bytes, [&](const NetlinkMessage& it) { (void)decodeRule(it); });
    survives(bytes, [&](const NetlinkMessage& it) { (void)concernsOverlay(it); });
    survives(bytes, [&](const NetlinkMessage& it) {
      if (const auto neighbour = decodeNeighbour(it)) CHECK(neighbour->ip.family == 4 || neighbour->ip.family == 6);
    });
    survives(bytes, [&](const NetlinkMessage& it) {
      if (const auto state = decodeXfrmState(it)) {
        associations++;
        CHECK(state->spi != 0);
        states.add(*state);
      }
    });
    survives(bytes, [&](const NetlinkMessage& it) {
      if (const auto policy = decodeXfrmPolicy(it)) {
        policies++;
        CHECK(policy->direction < XFRM_POLICY_MAX);
        CHECK(policy->source[1] <= (policy->source[0] == 4 ? 32 : 128));
      }
    });
    for (const uint16_t type : {XFRM_MSG_MAPPING, XFRM_MSG_EXPIRE, XFRM_MSG_ACQUIRE}) {
      survives(bytes, [&](NetlinkMessage it) {
        it.type = type;
        if (decodeXfrmEvent(it)) events++;
      });
    }
    if (round % 50 == 0) decoder.restart();
    survives(bytes, [&](const NetlinkMessage& it) { decoder.message(it); });
    if (round % 50 != 49) continue;
    // Also after a message that broke off, the columns fit each other.
    const WgSnapshot snapshot = decoder.take();
    const size_t count = snapshot.count();
    peers += count;
    CHECK_EQ(snapshot.publicKeys.size(), count * keySize);
    CHECK_EQ(snapshot.endpointAddresses.size(), count * 16);
    CHECK_EQ(snapshot.lastHandshakes.size(), count);
    CHECK_EQ(snapshot.allowedIpOffsets.size(), count + 1);
    CHECK_EQ(snapshot.allowedIpOffsets.back() * allowedIpSize, snapshot.allowedIps.size());
    (void)compareSnapshots(snapshot, snapshot);
    (void)compareXfrmStates(std::exchange(states, XfrmStates()), states);
  }
  // The mutations leave enough whole to get far.
  CHECK(routes > 1000);
  CHECK(peers > 1000);
  CHECK(associations > 1000);
  CHECK(policies > 1000);
  CHECK(events > 1000);
}

TEST("fuzz: no datagram ends the conversation in another way than a Failure, or the watches at all") {
  const std::vector<Datagram> corpus = seeds();
  std::mt19937 random(42);
  Datagram answer;
  FakeKernel kernel([&](const std::vector<Request>& requests) {
    return answering({answer}, requests[0].sequence);
  });
  NetlinkCounters counters;
  NetlinkSocket::Options options;
  options.timeout = std::chrono::milliseconds(0);
  NetlinkSocket socket(kernel.open(), counters, options);
  size_t events = 0;
  auto owned = std::make_unique<PairTransport>([](const std::vector<Request>&) { return std::vector<Datagram>(); });
  PairTransport& pipe = *owned;
  NetworkWatch watch(std::move(owned), [] { return 7; }, [&](Event&&) { return ++events > 0; });
  auto xfrmEnd = std::make_unique<PairTransport>([](const std::vector<Request>&) { return std::vector<Datagram>(); });
  PairTransport& xfrmPipe = *xfrmEnd;
  size_t xfrmEvents = 0;
  XfrmWatch xfrmWatch(std::move(xfrmEnd), [&](Event&&) { return ++xfrmEvents > 0; });
  for (int round = 0; round < 5'000; round++) {
    const auto type = static_cast<uint16_t>(random() % 40);
    answer = message(type, static_cast<uint16_t>(random()), 0, mutated(corpus, random));
    if (random() % 4 == 0) answer[random() % 4] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) answer.resize(random() % (answer.size() + 1));
    MessageBatch batch;
    batch.begin(24, 0);
    batch.end();
    try {
      if (round % 2 == 0) {
        (void)socket.exchange(batch);
      } else {
        socket.beginDump(batch);
        (void)socket.readDump("DUMP", [](const NetlinkMessage&) {});
      }
    } catch (const Failure&) {
    }
    pipe.push(answer);
    watch.onReadable();
    if (watch.deadline()) watch.onDeadline(Clock::now());
    xfrmPipe.push(answer);
    xfrmWatch.onReadable();
  }
  CHECK(events > 100);
  CHECK(xfrmEvents > 100);
}

TEST("fuzz: no bytes are a reply of pluto's that is not printable, or end in another way than a Failure") {
  const std::vector<std::string> corpus{
      "002 \"n/x\": added IKEv2 connection\n181 \"n/x\" #1: initiating IKEv2 connection\n",
      "000 using kernel interface: xfrm\n000  \n000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10\n",
      "000 #25: \"r\"[1] 192.0.2.1:4500 STATE_V2_ESTABLISHED_IKE_SA (established IKE SA); REKEY in 27000s;\n",
      "021 no connection or alias named \"n\"'\n16637 x\n",
  };
  std::mt19937 random(7);
  size_t lines = 0, versions = 0, refused = 0;
  for (int round = 0; round < iterations; round++) {
    std::string bytes = corpus[random() % corpus.size()];
    for (uint32_t edits = random() % 4; edits > 0 && !bytes.empty(); edits--) {
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes.resize(at); break;
        case 2: bytes.erase(at, 1 + random() % 8); break;
        default: bytes.insert(at, corpus[random() % corpus.size()], 0, random() % 64); break;
      }
    }
    try {
      const PlutoReply reply = PlutoReply::parse(bytes);
      size_t length = 0;
      for (size_t index = 0; index < reply.count(); index++) {
        const PlutoReply::Line line = reply.line(index);
        CHECK(line.code < 100'000);
        for (const char letter : line.text) CHECK(letter >= ' ' && letter <= '~');
        length += line.text.size();
      }
      CHECK(length <= bytes.size());
      lines += reply.count();
      CHECK(!PlutoVersion::in(reply).version.empty());
      versions++;
    } catch (const Failure& failure) {
      CHECK_EQ(failure.number(), EBADMSG);
      refused++;
    }
  }
  // The mutations leave enough whole, and spoil enough.
  CHECK(lines > 10'000);
  CHECK(versions > 1'000);
  CHECK(refused > 1'000);
}

TEST("fuzz: no bytes are a reply of pluto's that is not printable, or end in another way than a Failure") {
  const std::vector<std::string> corpus{
      "002 \"n/x\": added IKEv2 connection\n181 \"n/x\" #1: initiating IKEv2 connection\n",
      "000 using kernel interface: xfrm\n000  \n000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10\n",
      "000 #25: \"r\"[1] 192.0.2.1:4500 STATE_V2_ESTABLISHED_IKE_SA (established IKE SA); REKEY in 27000s;\n",
      "021 no connection or alias named \"n\"'\n16637 x\n",
  };
  std::mt19937 random(7);
  size_t lines = 0, versions = 0, refused = 0;
  for (int round = 0; round < iterations; round++) {
    std::string bytes = corpus[random() % corpus.size()];
    for (uint32_t edits = random() % 4; edits > 0 && !bytes.empty(); edits--) {
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes.resize(at); break;
        case 2: bytes.erase(at, 1 + random() % 8); break;
        default: bytes.insert(at, corpus[random() % corpus.size()], 0, random() % 64); break;
      }
    }
    try {
      const PlutoReply reply = PlutoReply::parse(bytes);
      size_t length = 0;
      for (size_t index = 0; index < reply.count(); index++) {
        const PlutoReply::Line line = reply.line(index);
        CHECK(line.code < 100'000);
        for (const char letter : line.text) CHECK(letter >= ' ' && letter <= '~');
        length += line.text.size();
      }
      CHECK(length <= bytes.size());
      lines += reply.count();
      CHECK(!PlutoVersion::in(reply).version.empty());
      versions++;
    } catch (const Failure& failure) {
      CHECK_EQ(failure.number(), EBADMSG);
      refused++;
    }
  }
  // The mutations leave enough whole, and spoil enough.
  CHECK(lines > 10'000);
  CHECK(versions > 1'000);
  CHECK(refused > 1'000);
}

}  // namespace corax::test
