// WireGuard's handshakes seen on the wire: filter and reader on bytes, the pairing, and the tap on a real device.
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "core/bpf.h"
#include "core/failure.h"
#include "core/handshake_tap.h"
#include "test/bpf_interpreter.h"
#include "test/check.h"
#include "test/drive.h"
#include "test/netns.h"
#include "test/packets.h"

namespace corax::test {
namespace {

const std::vector<uint16_t> ports{4500, 4501};

Packet initiation(uint32_t sender) {
  Packet message(initiationSize, 0x55);
  put32(&message[0], initiationStart);
  put32(&message[4], sender);
  return message;
}

Packet response(uint32_t sender, uint32_t receiver) {
  Packet message(responseSize, 0xaa);
  put32(&message[0], responseStart);
  put32(&message[4], sender);
  put32(&message[8], receiver);
  return message;
}

// Source port 3478, see packets.h, unless it is set.
Packet withSource(Packet packet, uint16_t port) {
  put16(&packet[size_t{packet[0] & 0xfu} * 4], port);
  return packet;
}

bool passes(const Packet& packet) { return runBpf(handshakeFilter(ports), packet) != 0; }

std::optional<HandshakePacket> parsed(const Packet& packet) { return parseHandshake({packet.data(), packet.size()}); }

}  // namespace

TEST("handshakes pass filter and reader at either end, whatever the IP header's length") {
  for (uint8_t words = 5; words <= 15; ++words) {
    IpFields fields;
    fields.words = words;
    for (const bool first : {true, false}) {
      const Packet message = first ? initiation(0x01020304) : response(0x05060708, 0x01020304);
      for (const uint16_t port : ports) {
        for (const Packet& packet : {udpPacket(port, message, fields), withSource(udpPacket(9, message, fields), port)}) {
          CHECK(passes(packet));
          const auto read = parsed(packet);
          CHECK(read && read->isInitiation == first);
          CHECK_EQ(read->sender, first ? 0x01020304u : 0x05060708u);
          CHECK_EQ(read->receiver, first ? 0u : 0x01020304u);
          CHECK_EQ(textOf(read->source), "192.0.2.1");
          CHECK_EQ(textOf(read->destination), "198.51.100.2");
        }
      }
      CHECK(!passes(udpPacket(4502, message, fields)));
    }
  }
}

TEST("nothing else passes: other types, other lengths, fragments, other protocols") {
  std::vector<Packet> refused;
  for (uint32_t type = 0; type <= 0xff; ++type)
    for (const size_t size : {initiationSize, responseSize, size_t{32}, size_t{64}}) {
      Packet message(size, 0);
      message[0] = static_cast<uint8_t>(type);
      const bool wanted = (type == 1 && size == initiationSize) || (type == 2 && size == responseSize);
      const Packet packet = udpPacket(4500, message);
      if (passes(packet) != wanted || parsed(packet).has_value() != wanted) fail(__FILE__, __LINE__, std::to_string(type));
    }
  for (const size_t size : {initiationSize - 1, initiationSize + 1, size_t{1472}}) {
    Packet message = initiation(1);
    message.resize(size);
    refused.push_back(udpPacket(4500, message));
  }
  Packet reserved = initiation(1);
  reserved[2] = 1;
  refused.push_back(udpPacket(4500, reserved));
  for (const int fragment : {0x2000, 0x2010, 0x0010}) {
    IpFields fields;
    fields.fragment = static_cast<uint16_t>(fragment);
    refused.push_back(udpPacket(4500, initiation(1), fields));
  }
  IpFields tcp;
  tcp.protocol = IPPROTO_TCP;
  refused.push_back(udpPacket(4500, initiation(1), tcp));
  for (const Packet& packet : refused) {
    CHECK(!passes(packet));
    CHECK(!parsed(packet));
  }
}

TEST("fuzz: filter and reader of handshakes agree, and neither reads what is not there") {
  Random random(17);
  int passed = 0;
  for (int i = 0; i < 200'000; ++i) {
    IpFields fields;
    fields.words = static_cast<uint8_t>(5 + random() % 11);
    Packet packet = udpPacket(4500, random() % 2 == 0 ? initiation(random()) : response(random(), random()), fields);
    if (random() % 8 == 0)
      for (uint8_t& byte : packet) byte = static_cast<uint8_t>(random());
    else
      for (uint32_t flips = random() % 3; flips > 0; --flips)
        packet[random() % packet.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    if (random() % 4 == 0) packet.resize(random() % (packet.size() + 40));
    const bool through = passes(packet);
    if (parsed(packet)) {
      const size_t header = size_t{packet[0] & 0xfu} * 4;
      const bool ours = get16(&packet[header]) == 4500 || get16(&packet[header]) == 4501 ||
                        get16(&packet[header + 2]) == 4500 || get16(&packet[header + 2]) == 4501;
      CHECK(through == ours);
    }
    passed += through ? 1 : 0;
  }
  CHECK(passed > 20'000);
}

namespace {

constexpr int64_t ms = 1'000'000;

struct Watching {
  std::atomic<uint64_t> unanswered{0};
  std::vector<HandshakeEvent> handshakes;
  int answered = 0;
  HandshakeWatch watch{ports, unanswered, [this](Event&& event) {
                         if (auto* it = std::get_if<HandshakeEvent>(&event)) handshakes.push_back(*it);
                         else answered++;
                         return true;
                       }};
  Clock::time_point now = Clock::now();
  int64_t stamp = 1'790'000'000'000 * ms;

  void pass(int count) {
    now += std::chrono::milliseconds(count);
    stamp += count * ms;
    if (watch.deadline() && *watch.deadline() <= now) watch.onDeadline(now);
  }
  void out(const Packet& message, const char* to, uint16_t port) {
    IpFields fields;
    fields.destination = ip(to);
    watch.take(*parsed(withSource(udpPacket(port, message, fields), 4500)), true, stamp, now);
  }
  void in(const Packet& message, const char* from, uint16_t port) {
    IpFields fields;
    fields.source = ip(from);
    watch.take(*parsed(withSource(udpPacket(4500, message, fields), port)), false, stamp, now);
  }
};

constexpr const char* alice = "203.0.113.10";
constexpr const char* mallory = "203.0.113.66";

}  // namespace

TEST("a response is paired with its initiation, by address, port and index, once") {
  Watching w;
  w.out(initiation(7), alice, 4500);
  w.pass(3);
  w.out(initiation(7), alice, 4500);  // The same packet, on its way through another device.
  w.pass(37);
  w.in(response(9, 8), alice, 4500);
  w.in(response(9, 7), mallory, 4500);
  w.in(response(9, 7), alice, 4501);
  CHECK(w.handshakes.empty());
  w.in(response(9, 7), alice, 4500);
  w.in(response(9, 7), alice, 4500);
  CHECK_EQ(w.handshakes.size(), 1);
  CHECK_EQ(textOf(w.handshakes[0].address), alice);
  CHECK_EQ(w.handshakes[0].port, 4500);
  CHECK_EQ(w.handshakes[0].rttMs, 40.0);
  CHECK_EQ(w.answered, 0);
  CHECK_EQ(w.watch.size(), 0);
}

TEST("what comes too late, or while the clock is set, is no round trip") {
  Watching w;
  w.out(initiation(1), alice, 4500);
  w.pass(5'001);
  w.in(response(2, 1), alice, 4500);
  w.out(initiation(3), alice, 4500);
  w.stamp -= 10 * ms;
  w.in(response(4, 3), alice, 4500);
  w.out(initiation(5), alice, 4500);
  w.stamp += 60'000 * ms;
  w.in(response(6, 5), alice, 4500);
  CHECK(w.handshakes.empty());
}

TEST("others' handshakes are told when this node has answered, ten times a second at most, and the last of them too") {
  Watching w;
  const auto shake = [&](uint32_t index) {
    w.in(initiation(index), alice, 31'000);
    w.out(response(index + 1'000'000, index), alice, 31'000);
  };
  shake(1);
  CHECK_EQ(w.answered, 1);
  for (uint32_t i = 2; i < 52; ++i) shake(i);
  CHECK_EQ(w.answered, 1);
  w.pass(100);
  CHECK_EQ(w.answered, 2);
  for (uint32_t i = 100; i < 1'100; ++i) {
    shake(i);
    w.pass(1);
  }
  CHECK(w.answered <= 13);
  w.pass(100);
  const int told = w.answered;
  w.pass(1'000);
  CHECK_EQ(w.answered, told);
  CHECK_EQ(w.unanswered.load(), 0);
  CHECK(w.handshakes.empty());
}

TEST("a flood of initiations wakes nobody, is counted, and takes no more memory than it may") {
  Watching w;
  w.out(initiation(42), alice, 4500);
  for (uint32_t i = 0; i < 100'000; ++i) w.in(initiation(i), mallory, static_cast<uint16_t>(i));
  CHECK_EQ(w.answered, 0);
  CHECK(w.watch.size() <= OpenHandshakes::most + 1);
  w.pass(20);
  w.in(response(1, 42), alice, 4500);
  CHECK_EQ(w.handshakes.size(), 1);
  w.pass(1'000);
  CHECK_EQ(w.unanswered.load(), OpenHandshakes::most);
  CHECK_EQ(w.watch.size(), 0);
  CHECK(!w.watch.deadline());
}

TEST("of very many answers only so many a second are told") {
  Watching w;
  for (uint32_t i = 0; i < 2'000; ++i) {
    w.out(initiation(i), alice, 4500);
    w.in(response(i, i), alice, 4500);
  }
  CHECK_EQ(w.handshakes.size(), HandshakeWatch::maxToldPerSecond);
  w.pass(1'000);
  w.out(initiation(1), alice, 4500);
  w.in(response(2, 1), alice, 4500);
  CHECK_EQ(w.handshakes.size(), HandshakeWatch::maxToldPerSecond + 1);
}

namespace {

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

}  // namespace

TEST("on a device the tap sees what comes in and what goes out, with the kernel's time between them") {
  Netns net;
  std::atomic<uint64_t> unanswered{0};
  std::vector<Event> events;
  HandshakeTap tap(static_cast<int>(if_nametoindex("v0")), ports, unanswered, [&](Event&& event) {
    events.push_back(std::move(event));
    return true;
  });
  Udp own(4500);
  net.enterFar();
  Udp far(4500);
  own.send("10.8.0.2", 4500, initiation(11));
  usleep(30'000);
  far.send("10.8.0.1", 4500, response(12, 11));
  CHECK(drive({&tap}, [&] { return events.size() == 1; }));
  const auto& handshake = std::get<HandshakeEvent>(events[0]);
  CHECK_EQ(textOf(handshake.address), "10.8.0.2");
  CHECK_EQ(handshake.port, 4500);
  // Not by this thread's clock, which has not looked meanwhile.
  CHECK(handshake.rttMs >= 30.0 && handshake.rttMs < 5'000.0);

  far.send("10.8.0.1", 4500, initiation(21));
  far.send("10.8.0.1", 4500, initiation(31));
  own.send("10.8.0.2", 4500, response(22, 21));
  CHECK(drive({&tap}, [&] { return unanswered == 1; }));
  CHECK_EQ(events.size(), 2);
  CHECK(std::holds_alternative<AnsweredEvent>(events[1]));
}

TEST("a tap on no device is refused, and one whose device goes stays quiet") {
  Netns net;
  std::atomic<uint64_t> unanswered{0};
  const auto open = [&](int ifindex) { return HandshakeTap(ifindex, ports, unanswered, [](Event&&) { return true; }).fd(); };
  try {
    open(9'999);
    fail(__FILE__, __LINE__, "it was opened");
  } catch (const Failure& failure) {
    CHECK_EQ(failure.number(), ENODEV);
  }
  HandshakeTap tap(static_cast<int>(if_nametoindex("v0")), ports, unanswered, [](Event&&) { return true; });
  Netns::run("ip link del v0");
  for (int i = 0; i < 3; ++i) tap.onReadable();
  CHECK(!tap.deadline());
}

}  // namespace corax::test
