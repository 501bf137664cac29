// The STUN tap: its filter on bytes, and the socket in real network namespaces beside a firewall.
#include "core/stun_tap.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "core/bpf.h"
#include "core/engine.h"
#include "core/failure.h"
#include "core/jobs.h"
#include "core/nft.h"
#include "test/bpf_interpreter.h"
#include "test/check.h"
#include "test/drive.h"
#include "test/netns.h"
#include "test/packets.h"

namespace corax::test {
namespace {

Packet stunOfType(uint16_t type, size_t extra = 0) { return stunMessage(extra, type); }

bool passes(const Packet& packet) { return runBpf(stunFilter(), packet) != 0; }

// As the tap's reader decides.
bool parses(const Packet& packet) { return parseStunResponse({packet.data(), packet.size()}).has_value(); }

// An ordinary UDP socket.
class Udp {
 public:
  explicit Udp(uint16_t port) : fd_(socket(AF_INET, SOCK_DGRAM, 0)) {
    const sockaddr_in own = at("0.0.0.0", port);
    CHECK(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
  }
  void send(const char* address, uint16_t port, const Packet& payload) {
    const sockaddr_in to = at(address, port);
    CHECK(sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
          static_cast<ssize_t>(payload.size()));
  }
  // What is there.
  std::vector<Packet> received() {
    std::vector<Packet> all;
    for (;;) {
      Packet data(65'536);
      const ssize_t length = recv(fd_.get(), data.data(), data.size(), MSG_DONTWAIT);
      if (length < 0) return all;
      data.resize(static_cast<size_t>(length));
      all.push_back(std::move(data));
    }
  }

 private:
  static sockaddr_in at(const char* address, uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_addr = ip(address);
    result.sin_port = htons(port);
    return result;
  }

  Fd fd_;
};

struct Tap {
  std::vector<RawEvent> events;
  StunTap socket{[this](Event&& event) { events.push_back(std::get<RawEvent>(std::move(event))); return true; }};

  void await(size_t count) {
    CHECK(drive({&socket}, [&] { return events.size() >= count; }));
  }
};

constexpr const char* nearAddress = "10.8.0.1";
constexpr const char* farAddress = "10.8.0.2";

}  // namespace

TEST("the tap's filter passes Binding responses to any port, whatever the IP header's length") {
  for (const int type : {0x0101, 0x0111})
    for (uint8_t words = 5; words <= 15; ++words) {
      IpFields fields;
      fields.words = words;
      for (const int port : {1, 4500, 40'000, 65'535})
        for (const size_t extra : {0u, 12u, 1452u}) {
          const Packet packet = udpPacket(static_cast<uint16_t>(port), stunOfType(static_cast<uint16_t>(type), extra), fields);
          CHECK(passes(packet));
          CHECK(parses(packet));
          CHECK_EQ(parseStunResponse({packet.data(), packet.size()})->destinationPort, port);
        }
    }
}

TEST("the tap's filter drops requests, indications, other methods, and what is not STUN") {
  // Every message type but the two (RFC 8489 section 5), and all that is none.
  for (uint32_t type = 0; type <= 0xffff; ++type) {
    const Packet packet = udpPacket(40'000, stunOfType(static_cast<uint16_t>(type)));
    const bool response = type == 0x0101 || type == 0x0111;
    if (passes(packet) != response || parses(packet) != response) fail(__FILE__, __LINE__, std::to_string(type));
  }
  Packet cookie = stunOfType(0x0101);
  cookie[5] ^= 1;
  std::vector<Packet> refused{udpPacket(40'000, cookie), udpPacket(40'000, stunOfType(0x0101, 1453)),
                              udpPacket(40'000, {}), udpPacket(40'000, Packet(19, 1))};
  for (const int fragment : {0x2000, 0x2010, 0x0010}) {
    IpFields fields;
    fields.fragment = static_cast<uint16_t>(fragment);
    refused.push_back(udpPacket(40'000, stunOfType(0x0101), fields));
  }
  IpFields tcp;
  tcp.protocol = IPPROTO_TCP;
  refused.push_back(udpPacket(40'000, stunOfType(0x0101), tcp));
  for (const Packet& packet : refused) {
    CHECK(!passes(packet));
    CHECK(!parses(packet));
  }
}

TEST("the tap's filter and reader agree on mutated and on random packets") {
  Random random(3);
  int passed = 0;
  for (int i = 0; i < 200'000; ++i) {
    IpFields fields;
    fields.words = static_cast<uint8_t>(5 + random() % 11);
    const uint16_t type = random() % 2 == 0 ? 0x0101 : 0x0111;
    Packet packet = udpPacket(static_cast<uint16_t>(random()), stunOfType(type, random() % 64), fields);
    if (random() % 8 == 0)
      for (uint8_t& byte : packet) byte = static_cast<uint8_t>(random());
    else
      for (uint32_t flips = random() % 3; flips > 0; --flips)
        packet[random() % packet.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    if (random() % 4 == 0) packet.resize(random() % (packet.size() + 40));
    const bool through = passes(packet);
    const bool read = parses(packet);
    if (read) CHECK(through);
    passed += through ? 1 : 0;
    // The tap comes before ip_rcv: of a header that lies the filter may let more through, never the reader.
    const bool honest = packet.size() >= 20 && packet[0] >> 4 == 4 && (packet[0] & 0xf) >= 5 &&
                        get16(&packet[2]) == packet.size();
    const size_t header = packet.empty() ? 0 : size_t{packet[0] & 0xfu} * 4;
    if (honest && through && get16(&packet[header + 4]) + header <= packet.size()) CHECK(read);
  }
  CHECK(passed > 20'000);
}

TEST("behind a firewall that drops, the tap sees the answer and an ordinary socket does not") {
  Netns net;
  Udp asker(40'000);
  Nft nft;
  nft.run(R"({"nftables": [
    {"add": {"table": {"family": "inet", "name": "wall"}}},
    {"add": {"chain": {"family": "inet", "table": "wall", "name": "in", "type": "filter", "hook": "input",
                       "prio": 0, "policy": "drop"}}},
    {"add": {"rule": {"family": "inet", "table": "wall", "chain": "in", "expr": [
      {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 4500}},
      {"accept": null}]}}}]})");
  Udp tunnel(4500);
  Tap tap;
  net.enterFar();
  Udp server(3478);
  server.send(nearAddress, 40'000, stunOfType(0x0101, 24));
  server.send(nearAddress, 40'000, stunOfType(0x0111, 8));
  // Comes after the others, and through the firewall.
  server.send(nearAddress, 4500, stunOfType(0x0101, 1452));
  tap.await(3);
  CHECK(tap.events[0].payload == stunOfType(0x0101, 24));
  CHECK(tap.events[1].payload == stunOfType(0x0111, 8));
  CHECK(tap.events[2].payload == stunOfType(0x0101, 1452));
  for (const RawEvent& event : tap.events) {
    CHECK_EQ(textOf(event.address), farAddress);
    CHECK_EQ(event.port, 3478);
  }
  // A copy each: the tap takes nothing away.
  CHECK(drive({}, [got = std::vector<Packet>(), &tunnel]() mutable {
    for (Packet& packet : tunnel.received()) got.push_back(std::move(packet));
    return got.size() == 1 && got[0] == stunOfType(0x0101, 1452);
  }));
  CHECK(asker.received().empty());
}

TEST("the tap reports no requests, nothing else, nothing fragmented, and nothing that leaves") {
  Netns net;
  Tap tap;
  Udp own(3478);
  own.send(farAddress, 40'000, stunOfType(0x0101, 4));
  net.enterFar();
  Udp server(3478);
  server.send(nearAddress, 40'000, stunOfType(0x0001, 24));
  server.send(nearAddress, 40'000, Packet(100, 1));
  server.send(nearAddress, 40'000, stunOfType(0x0011));
  server.send(nearAddress, 40'000, stunOfType(0x0113));
  server.send(nearAddress, 40'000, stunOfType(0x0101, 3000));
  server.send(nearAddress, 40'000, stunOfType(0x0101, 5));
  tap.await(1);
  CHECK_EQ(tap.events.size(), 1);
  CHECK(tap.events[0].payload == stunOfType(0x0101, 5));
}

TEST("a flood is read in pieces, and none of it is lost before the socket is full") {
  Netns net;
  Tap tap;
  net.enterFar();
  Udp server(3478);
  for (size_t i = 0; i < 100; ++i) server.send(nearAddress, 40'000, stunOfType(0x0101, i));
  // veth hands over in a softirq: wait until the first is there.
  CHECK(drive({}, [&] {
    tap.socket.onReadable();
    return !tap.events.empty();
  }));
  CHECK(tap.events.size() <= 64);
  tap.await(100);
  for (size_t i = 0; i < 100; ++i) CHECK(tap.events[i].payload == stunOfType(0x0101, i));
}

TEST("an engine opens one tap, closes it, and takes an open one along when it ends") {
  Netns net;
  const auto taps = [] {
    std::ifstream list("/proc/thread-self/net/packet");
    return std::count(std::istreambuf_iterator<char>(list), {}, '\n') - 1;
  };
  Engine engine([] {});
  size_t done = 0;
  const auto tap = [&](bool on) {
    CHECK(!engine.submit(std::make_unique<StunTapJob>(on)));
    CHECK(drive({}, [&] {
      for (const auto& job : engine.take().jobs) {
        CHECK(!job->error);
        done++;
      }
      return done == 1;
    }));
    done = 0;
    return taps();
  };
  CHECK_EQ(tap(false), 0);
  CHECK_EQ(tap(true), 1);
  CHECK_EQ(tap(true), 1);
  CHECK_EQ(tap(false), 0);
  CHECK_EQ(tap(false), 0);
  CHECK_EQ(tap(true), 1);
  engine.stop();
  CHECK_EQ(taps(), 0);
}

TEST("a tap needs the capability to have one") {
  Netns net;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (setuid(65'534) != 0) _exit(2);
    try {
      StunTap tap([](Event&&) { return true; });
      _exit(3);
    } catch (const Failure& failure) {
      _exit(failure.code() == FailureCode::socket && failure.number() == EPERM ? 0 : 4);
    }
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}

}  // namespace corax::test
