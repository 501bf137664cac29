// Fans, sprays and the rendezvous: on bytes, and in real network namespaces.
#include <sys/socket.h>

#include <cerrno>
#include <set>

#include "core/bpf.h"
#include "core/failure.h"
#include "core/kernel.h"
#include "core/nft.h"
#include "core/opening_jobs.h"
#include "core/port_probe.h"
#include "test/bpf_interpreter.h"
#include "test/check.h"
#include "test/drive.h"
#include "test/netns.h"
#include "test/packets.h"

namespace corax::test {
namespace {

constexpr const char* nearAddress = "10.8.0.1";
constexpr const char* farAddress = "10.8.0.2";
constexpr uint64_t token = 0x0123456789abcdef;

sockaddr_in at(const char* address, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr = ip(address);
  result.sin_port = htons(port);
  return result;
}

class Udp {
 public:
  Udp(const char* address, uint16_t port) : fd_(socket(AF_INET, SOCK_DGRAM, 0)) {
    const sockaddr_in own = at(address, port);
    CHECK(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
    const int yes = 1;
    CHECK(setsockopt(fd_.get(), IPPROTO_IP, IP_RECVTTL, &yes, sizeof yes) == 0);
  }
  void send(uint16_t port, const Packet& payload, const char* address = nearAddress) {
    const sockaddr_in to = at(address, port);
    CHECK(sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
          static_cast<ssize_t>(payload.size()));
  }
  struct Received {
    Packet payload;
    uint16_t port;
    int ttl;
  };
  // What is there.
  std::vector<Received> received() {
    std::vector<Received> all;
    for (;;) {
      Packet data(2048);
      iovec part{data.data(), data.size()};
      sockaddr_in from{};
      alignas(cmsghdr) char control[64];
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof from;
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t length = recvmsg(fd_.get(), &message, MSG_DONTWAIT);
      if (length < 0) return all;
      data.resize(static_cast<size_t>(length));
      int ttl = 0;
      std::memcpy(&ttl, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof ttl);
      all.push_back({data, ntohs(from.sin_port), ttl});
    }
  }

 private:
  Fd fd_;
};

template <typename Source>
struct Watched {
  std::vector<Event> events;
  std::unique_ptr<Source> source;

  EventSink sink() {
    return [this](Event&& event) {
      events.push_back(std::move(event));
      return true;
    };
  }
  void await(size_t count) {
    CHECK(drive({source.get()}, [&] { return events.size() >= count; }));
  }
};

FanOptions fan(uint32_t sockets, uint32_t lifeMs = 20'000) { return {7, ip(farAddress), 4500, sockets, 2, 0, token, lifeMs}; }

SprayOptions spray(uint16_t first, uint16_t last, uint32_t count) {
  return {9, 4500, ip(farAddress), first, last, count, token};
}

Packet probe(uint64_t with, uint16_t port) {
  const auto bytes = portProbe(with, port);
  return {bytes.begin(), bytes.end()};
}

// Of UDP from `source` to `destination` with so many bytes.
Packet message(uint16_t source, uint16_t destination, size_t size, const IpFields& fields = {}) {
  const Packet payload(size, 0x55);
  const auto header = udpHeader(fields.source, source, fields.destination, destination, {payload.data(), payload.size()});
  Packet udp(header.begin(), header.end());
  udp.insert(udp.end(), payload.begin(), payload.end());
  return ipPacket(fields, udp);
}

}  // namespace

TEST("a probe says its port to who has the token, and nothing else is one") {
  const Packet right = probe(token, 40'000);
  CHECK_EQ(parsePortProbe({right.data(), right.size()}, token).value(), 40'000);
  CHECK(!parsePortProbe({right.data(), right.size()}, token + 1));
  CHECK(!parsePortProbe({right.data(), right.size() - 1}, token));
  const Packet zero = probe(token, 0);
  CHECK(!parsePortProbe({zero.data(), zero.size()}, token));
  for (size_t i = 0; i < 12; ++i) {
    Packet other = right;
    other[i] ^= 1;
    CHECK(!parsePortProbe({other.data(), other.size()}, token));
  }
  Random random(5);
  for (int i = 0; i < 20'000; ++i) {
    Packet noise(random() % 20);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    CHECK(!parsePortProbe({noise.data(), noise.size()}, token));
  }
}

TEST("the rendezvous' filter passes its port at both ends, up to its size, unfragmented") {
  const auto passes = [](const Packet& packet) { return runBpf(rendezvousFilter(4502, 64), packet) != 0; };
  for (const size_t size : {1u, 32u, 64u}) CHECK(passes(message(4502, 4502, size)));
  for (const size_t size : {0u, 65u, 1000u}) CHECK(!passes(message(4502, 4502, size)));
  CHECK(!passes(message(4502, 4501, 32)));
  CHECK(!passes(message(4501, 4502, 32)));
  IpFields fields;
  fields.words = 15;
  CHECK(passes(message(4502, 4502, 32, fields)));
  fields.fragment = 0x2000;
  CHECK(!passes(message(4502, 4502, 32, fields)));
  fields.fragment = 0;
  fields.protocol = 6;
  CHECK(!passes(message(4502, 4502, 32, fields)));
}

TEST("messages pass this node's firewall, and count only by the device, to the address, from the port") {
  Netns net;
  Nft nft;
  nft.run(R"({"nftables": [
    {"add": {"table": {"family": "ip", "name": "wall"}}},
    {"add": {"chain": {"family": "ip", "table": "wall", "name": "in", "type": "filter", "hook": "input",
                       "prio": 0, "policy": "drop"}}}]})");
  Netns::run("ip address add 10.8.0.9/24 dev v0 && ip link add d0 type dummy && ip link set d0 up");
  Watched<RendezvousSocket> here;
  here.source = std::make_unique<RendezvousSocket>(RendezvousPlace{"v0", ip(nearAddress), 4502}, here.sink());
  net.enterFar();
  Udp there(farAddress, 4502);
  Udp elsewhere(farAddress, 4503);
  elsewhere.send(4502, {1});
  there.send(4503, {2});
  there.send(4502, Packet(65, 3));
  there.send(4502, {3}, "10.8.0.9");
  there.send(4502, {4, 4});
  here.await(1);
  CHECK_EQ(here.events.size(), 1);
  const auto& event = std::get<RendezvousEvent>(here.events[0]);
  CHECK_EQ(textOf(event.address), farAddress);
  CHECK(event.payload == Packet({4, 4}));

  net.enterNear();
  // By the device, although the route says another.
  Netns::run("ip route add 10.8.0.2/32 dev d0");
  const auto errors = here.source->send({{ip(farAddress), {5}}, {ip(farAddress), {}}, {ip(farAddress), Packet(65)}});
  CHECK_EQ(errors[0], 0);
  CHECK_EQ(errors[1], EINVAL);
  CHECK_EQ(errors[2], EINVAL);
  std::vector<Udp::Received> got;
  while (got.empty()) got = there.received();
  CHECK(got[0].payload == Packet({5}));
  CHECK_EQ(got[0].port, 4502);
}

TEST("the rendezvous says where it cannot be, and when it is not what it was") {
  Netns net;
  const auto open = [](const char* device, const char* address) {
    return RendezvousSocket({device, ip(address), 4502}, [](Event&&) { return true; });
  };
  CHECK_THROWS(Failure, open("none", nearAddress));
  CHECK_THROWS(Failure, open("v0", "10.8.0.77"));
  Netns::run("ip link add d0 type dummy && ip address add 10.7.0.1/32 dev d0 && ip link set d0 up");
  const RendezvousSocket socket({"d0", ip("10.7.0.1"), 4502}, [](Event&&) { return true; });
  CHECK(socket.fits({"d0", ip("10.7.0.1"), 4502}));
  CHECK(!socket.fits({"d0", ip("10.7.0.1"), 4503}));
  CHECK(!socket.fits({"v0", ip("10.7.0.1"), 4502}));
  Netns::run("ip link del d0 && ip link add d0 type dummy");
  CHECK(!socket.fits({"d0", ip("10.7.0.1"), 4502}));
}

TEST("a fan opens the NAT once a socket, and reports the one that the right probe came to") {
  Netns net;
  net.enterFar();
  Udp far(farAddress, 4500);
  Udp stranger(farAddress, 4501);
  net.enterNear();
  Watched<PortFan> near;
  near.source = std::make_unique<PortFan>(fan(100), near.sink());
  CHECK(near.source->openSockets() < 100);
  CHECK(drive({near.source.get()}, [&] { return near.source->openSockets() == 100; }));
  std::vector<uint16_t> ports;
  while (ports.size() < 100)
    for (const auto& [payload, port, ttl] : far.received()) {
      CHECK(payload == Packet({0xff}));
      CHECK_EQ(ttl, 2);
      ports.push_back(port);
    }
  CHECK_EQ(std::set<uint16_t>(ports.begin(), ports.end()).size(), 100);

  far.send(ports[3], probe(token + 1, ports[3]));
  far.send(ports[4], Packet(13));
  far.send(ports[5], Packet(15));
  stranger.send(ports[6], probe(token, ports[6]));
  far.send(ports[7], probe(token, 12'345));
  far.send(ports[8], probe(token, 12'346));
  near.await(1);
  const auto& event = std::get<FanEvent>(near.events[0]);
  CHECK_EQ(event.id, 7);
  CHECK_EQ(event.localPort, ports[7]);
  CHECK_EQ(event.outsidePort, 12'345);
  CHECK_EQ(near.source->openSockets(), 0);
  CHECK(!near.source->deadline());
  near.source->onReadable();
  CHECK_EQ(near.events.size(), 1);
}

TEST("a fan that nobody hits ends with all its sockets") {
  Netns net;
  Watched<PortFan> near;
  near.source = std::make_unique<PortFan>(fan(40, 60), near.sink());
  near.await(1);
  const auto& event = std::get<FanEvent>(near.events[0]);
  CHECK_EQ(event.localPort, 0);
  CHECK_EQ(event.outsidePort, 0);
  CHECK_EQ(near.source->openSockets(), 0);
}

TEST("a fan makes do with the sockets that it gets, and fails without any") {
  Netns net;
  Netns::run("ip route add blackhole 192.0.2.0/24");
  FanOptions nowhere = fan(10);
  nowhere.destination = ip("192.0.2.1");
  CHECK_THROWS(Failure, PortFan(nowhere, [](Event&&) { return true; }));
}

TEST("a spray probes different ports of its range, a few at a time, and counts what it could not send") {
  std::vector<RawDatagram> sent;
  size_t most = 0;
  const auto send = [&](const std::vector<RawDatagram>& packets) {
    most = std::max(most, packets.size());
    std::vector<int> errors;
    for (const RawDatagram& packet : packets) errors.push_back(packet.destinationPort % 10 == 3 ? EPERM : 0);
    sent.insert(sent.end(), packets.begin(), packets.end());
    return errors;
  };
  Watched<PortSpray> from;
  from.source = std::make_unique<PortSpray>(spray(1'024, 65'535, 200), send, from.sink());
  from.await(1);
  CHECK_EQ(sent.size(), 200);
  CHECK_EQ(most, PortSpray::atOnce);
  std::set<uint16_t> ports;
  uint32_t failed = 0;
  for (const RawDatagram& packet : sent) {
    ports.insert(packet.destinationPort);
    failed += packet.destinationPort % 10 == 3 ? 1 : 0;
    CHECK(packet.destinationPort >= 1'024);
    CHECK_EQ(packet.sourcePort, 4500);
    CHECK(packet.payload == probe(token, packet.destinationPort));
  }
  CHECK_EQ(ports.size(), 200);
  const auto& event = std::get<SprayEvent>(from.events[0]);
  CHECK_EQ(event.sent, 200 - failed);
  CHECK_EQ(event.failed, failed);
  CHECK(!from.source->deadline());
}

TEST("a spray of a range that is smaller than its count probes each port once") {
  std::vector<uint16_t> sent;
  const auto send = [&](const std::vector<RawDatagram>& packets) {
    for (const RawDatagram& packet : packets) sent.push_back(packet.destinationPort);
    return std::vector<int>(packets.size(), 0);
  };
  Watched<PortSpray> from;
  from.source = std::make_unique<PortSpray>(spray(65'500, 65'535, 2'048), send, from.sink());
  from.await(1);
  CHECK_EQ(sent.size(), 36);
  CHECK_EQ(std::set<uint16_t>(sent.begin(), sent.end()).size(), 36);
}

TEST("the spray of one end finds the fan of the other") {
  Netns net;
  net.enterFar();
  RawUdp raw({4500}, 0, [](Event&&) { return true; });
  net.enterNear();
  Netns::run("echo 50000 50999 > /proc/sys/net/ipv4/ip_local_port_range");
  Watched<PortFan> near;
  near.source = std::make_unique<PortFan>(fan(64), near.sink());
  net.enterFar();
  Watched<PortSpray> far;
  SprayOptions towards = spray(50'000, 50'999, 1'000);
  towards.destination = ip(nearAddress);
  far.source = std::make_unique<PortSpray>(
      towards, [&](const std::vector<RawDatagram>& packets) { return raw.send(packets); }, far.sink());
  CHECK(drive({near.source.get(), far.source.get()}, [&] { return !near.events.empty(); }));
  const auto& event = std::get<FanEvent>(near.events[0]);
  // No NAT between the two.
  CHECK_EQ(event.localPort, event.outsidePort);
}

TEST("openings have ids of their own, are few, and are gone when they are ended") {
  Netns net;
  Reactor reactor({[] { return false; }, [](EventSource&) {}, [] {}});
  Counters counters;
  Kernel kernel(reactor, counters, [](Event&&) { return true; }, {});
  const auto begin = [&](uint32_t id) {
    FanOptions options = fan(1);
    options.id = id;
    FanOpenJob(options).step(kernel);
  };
  const auto refusal = [&](uint32_t id) {
    try {
      begin(id);
    } catch (const Failure& failure) {
      return failure.number();
    }
    return 0;
  };
  for (uint32_t id = 0; id < Kernel::maxOpenings; ++id) begin(id);
  CHECK_EQ(refusal(3), EEXIST);
  CHECK_EQ(refusal(99), EBUSY);
  OpeningEndJob(3).step(kernel);
  OpeningEndJob(3).step(kernel);
  CHECK_EQ(refusal(99), 0);
  RendezvousSendJob send({{ip(farAddress), {1}}});
  CHECK_THROWS(Failure, send.step(kernel));
  RendezvousOpenJob(RendezvousPlace{"v0", ip(nearAddress), 4502}).step(kernel);
  RendezvousOpenJob(RendezvousPlace{"v0", ip(nearAddress), 4502}).step(kernel);
  send.step(kernel);
  CHECK(!send.results[0]);
  RendezvousOpenJob(std::nullopt).step(kernel);
  CHECK_THROWS(Failure, send.step(kernel));
}

}  // namespace corax::test
