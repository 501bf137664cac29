// The raw UDP socket in real network namespaces, beside a socket that holds the port.
#include "core/raw_udp.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "core/failure.h"
#include "core/nft.h"
#include "test/check.h"
#include "test/drive.h"
#include "test/netns.h"
#include "test/packets.h"

namespace corax::test {
namespace {

sockaddr_in at(const char* address, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr = ip(address);
  result.sin_port = htons(port);
  return result;
}

// An ordinary UDP socket.
class Udp {
 public:
  Udp(const char* address, uint16_t port) : fd_(socket(AF_INET, SOCK_DGRAM, 0)) {
    const sockaddr_in own = at(address, port);
    CHECK(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
    const int yes = 1;
    CHECK(setsockopt(fd_.get(), IPPROTO_IP, IP_RECVTTL, &yes, sizeof yes) == 0);
    const timeval patience{10, 0};
    CHECK(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  }

  void send(const char* address, uint16_t port, const Packet& payload) {
    const sockaddr_in to = at(address, port);
    CHECK(sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
          static_cast<ssize_t>(payload.size()));
  }

  struct Received {
    Packet payload;
    std::string address;
    uint16_t port;
    int ttl;
  };

  Received receive() {
    Packet data(65'536);
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
    const ssize_t length = recvmsg(fd_.get(), &message, 0);
    if (length < 0) fail(__FILE__, __LINE__, std::string("nothing came: ") + std::strerror(errno));
    data.resize(static_cast<size_t>(length));
    int ttl = 0;
    for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item))
      if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_TTL) std::memcpy(&ttl, CMSG_DATA(item), sizeof ttl);
    return {data, textOf(from.sin_addr), ntohs(from.sin_port), ttl};
  }

 private:
  Fd fd_;
};

// A raw socket and what it reported.
struct Raw {
  std::vector<RawEvent> events;
  RawUdp socket;

  explicit Raw(const std::vector<uint16_t>& ports, uint32_t mark = 0)
      : socket(ports, mark, [this](Event&& event) { events.push_back(std::get<RawEvent>(std::move(event))); return true; }) {}
  void await(size_t count) {
    CHECK(drive({&socket}, [&] { return events.size() >= count; }));
  }
};

RawDatagram datagram(const char* address, uint16_t port, const Packet& payload) {
  return {4500, ip(address), port, 64, payload};
}

constexpr const char* nearAddress = "10.8.0.1";
constexpr const char* farAddress = "10.8.0.2";

}  // namespace

TEST("STUN answers reach the raw socket and the holder of the port; the rest only the holder") {
  Netns net;
  Udp holder("0.0.0.0", 4500);
  Raw raw({4500, 4501});
  net.enterFar();
  Udp far(farAddress, 3478);
  const Packet other{4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  far.send(nearAddress, 4500, other);
  // A request, which anyone may send.
  far.send(nearAddress, 4500, stunMessage(4, 0x0001));
  far.send(nearAddress, 4500, stunMessage(8));
  far.send(nearAddress, 4499, stunMessage(8));
  // Comes in fragments.
  Packet large = stunMessage(3000);
  far.send(nearAddress, 4500, large);
  far.send(nearAddress, 4501, stunMessage(1452));
  raw.await(2);
  CHECK(holder.receive().payload == other);
  CHECK(holder.receive().payload == stunMessage(4, 0x0001));
  CHECK(holder.receive().payload == stunMessage(8));
  CHECK(holder.receive().payload == large);
  CHECK_EQ(raw.events.size(), 2);
  CHECK(raw.events[0].payload == stunMessage(8));
  CHECK(raw.events[1].payload == stunMessage(1452));
  for (const RawEvent& event : raw.events) {
    CHECK_EQ(textOf(event.address), farAddress);
    CHECK_EQ(event.port, 3478);
  }
}

TEST("what is sent comes from the held port, with its TTL and a right checksum") {
  Netns net;
  Udp holder("0.0.0.0", 4500);
  Raw raw({4500});
  net.enterFar();
  Udp far(farAddress, 3478);
  net.enterNear();
  std::vector<RawDatagram> packets;
  for (const size_t extra : {0u, 1u, 2u, 33u, 1451u, 1452u}) {
    packets.push_back(datagram(farAddress, 3478, stunMessage(extra)));
    packets.back().ttl = static_cast<uint8_t>(packets.size() + 1);
  }
  packets.push_back(datagram(farAddress, 3478, {}));
  packets.back().ttl = 255;
  for (const int error : raw.socket.send(packets)) CHECK_EQ(error, 0);
  for (const RawDatagram& packet : packets) {
    // The far kernel drops a packet whose checksum is wrong.
    const auto received = far.receive();
    CHECK(received.payload == packet.payload);
    CHECK_EQ(received.port, 4500);
    CHECK_EQ(received.address, nearAddress);
    CHECK_EQ(received.ttl, packet.ttl);
  }
  // An answer comes to both.
  far.send(nearAddress, 4500, stunMessage(4));
  raw.await(1);
  CHECK(holder.receive().payload == stunMessage(4));
}

TEST("checksums are made, not left out") {
  Netns net;
  Raw raw({4500});
  net.enterFar();
  Fd far(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
  net.enterNear();
  CHECK_EQ(raw.socket.send({datagram(farAddress, 3478, stunMessage(5))})[0], 0);
  pollfd readable{far.get(), POLLIN, 0};
  CHECK(poll(&readable, 1, 10'000) == 1);
  Packet packet(2048);
  packet.resize(static_cast<size_t>(recv(far.get(), packet.data(), packet.size(), 0)));
  CHECK_EQ(packet.size(), 20 + 8 + 25);
  const auto expected = udpHeader(ip(nearAddress), 4500, ip(farAddress), 3478, {&packet[28], packet.size() - 28});
  CHECK(std::equal(expected.begin(), expected.end(), &packet[20]));
  CHECK(get16(&packet[26]) != 0);
}

TEST("each packet has its own result") {
  Netns net;
  Raw raw({4500});
  net.enterFar();
  Udp far(farAddress, 3478);
  net.enterNear();
  Netns::run("ip route add blackhole 192.0.2.0/24");
  auto noTtl = datagram(farAddress, 3478, stunMessage());
  noTtl.ttl = 0;
  auto noSource = datagram(farAddress, 3478, stunMessage());
  noSource.sourcePort = 0;
  std::vector<RawDatagram> packets{
      datagram("198.51.100.1", 3478, stunMessage()), datagram(farAddress, 3478, stunMessage(1)), noTtl,
      datagram(farAddress, 3478, stunMessage(1453)), datagram(farAddress, 3478, stunMessage(2)), noSource,
      datagram("192.0.2.1", 3478, stunMessage()),    datagram(farAddress, 0, stunMessage()),
      datagram("0.0.0.0", 3478, stunMessage()),      datagram("255.255.255.255", 3478, stunMessage()),
      datagram(farAddress, 3478, stunMessage(3))};
  // EINVAL for 192.0.2.1: that is what a blackhole route says.
  const int expected[] = {ENETUNREACH, 0, EINVAL, EINVAL, 0, EINVAL, EINVAL, EINVAL, EINVAL, EACCES, 0};
  const auto errors = raw.socket.send(packets);
  CHECK_EQ(errors.size(), packets.size());
  for (size_t i = 0; i < packets.size(); ++i) {
    // Broadcast needs SO_BROADCAST or a route; which of the two is missed first is the kernel's matter.
    if (i == 9)
      CHECK(errors[i] != 0);
    else
      CHECK_EQ(errors[i], expected[i]);
  }
  for (const size_t extra : {1u, 2u, 3u}) CHECK(far.receive().payload == stunMessage(extra));
  CHECK(raw.socket.send({}).empty());
}

TEST("a hundred packets in one call all leave, some refused by the firewall on the way") {
  Netns net;
  Raw raw({4500});
  net.enterFar();
  Udp far(farAddress, 3478);
  net.enterNear();
  Nft nft;
  nft.run(R"({"nftables": [
    {"add": {"table": {"family": "ip", "name": "wall"}}},
    {"add": {"chain": {"family": "ip", "table": "wall", "name": "out", "type": "filter", "hook": "output",
                       "prio": 0, "policy": "accept"}}},
    {"add": {"rule": {"family": "ip", "table": "wall", "chain": "out", "expr": [
      {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 9}},
      {"drop": null}]}}}]})");
  std::vector<RawDatagram> packets;
  for (uint16_t i = 0; i < 100; ++i)
    packets.push_back(datagram(farAddress, i % 10 == 3 ? 9 : 3478, stunMessage(i)));
  const auto errors = raw.socket.send(packets);
  for (size_t i = 0; i < packets.size(); ++i) CHECK_EQ(errors[i], i % 10 == 3 ? EPERM : 0);
  for (size_t i = 0; i < packets.size(); ++i)
    if (i % 10 != 3) CHECK(far.receive().payload == packets[i].payload);
}

TEST("the mark picks the route, and so the source that the checksum covers") {
  Netns net;
  Raw raw({4500}, 0x51);
  net.enterFar();
  Udp far(farAddress, 3478);
  net.enterNear();
  Netns::run("ip address add 10.8.0.77/24 dev v0 && ip rule add fwmark 0x51 lookup 51 && "
             "ip route add 10.8.0.0/24 dev v0 src 10.8.0.77 table 51");
  CHECK_EQ(raw.socket.send({datagram(farAddress, 3478, stunMessage())})[0], 0);
  CHECK_EQ(far.receive().address, "10.8.0.77");
}

TEST("with corax's rules: two holders behind one port, and the raw socket sees both ways") {
  Netns net;
  Udp relayPlane("0.0.0.0", 4500);
  Udp directPlane("0.0.0.0", 4501);
  Raw raw({4500, 4501});
  Nft nft;
  nft.run(R"({"nftables": [
    {"add": {"table": {"family": "ip", "name": "corax"}}},
    {"add": {"set": {"family": "ip", "table": "corax", "name": "relays", "type": "ipv4_addr", "elem": ["10.9.0.1"]}}},
    {"add": {"chain": {"family": "ip", "table": "corax", "name": "in", "type": "filter", "hook": "input",
                       "prio": 200, "policy": "accept"}}},
    {"add": {"chain": {"family": "ip", "table": "corax", "name": "out", "type": "filter", "hook": "output",
                       "prio": -310, "policy": "accept"}}},
    {"add": {"rule": {"family": "ip", "table": "corax", "chain": "in", "expr": [
      {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 4500}},
      {"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@relays"}},
      {"mangle": {"key": {"payload": {"protocol": "udp", "field": "dport"}}, "value": 4501}}]}}},
    {"add": {"rule": {"family": "ip", "table": "corax", "chain": "out", "expr": [
      {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "sport"}}, "right": 4501}},
      {"mangle": {"key": {"payload": {"protocol": "udp", "field": "sport"}}, "value": 4500}}]}}}]})");
  net.enterFar();
  Udp relay("10.9.0.1", 4500);
  Udp edge(farAddress, 4500);
  relay.send(nearAddress, 4500, stunMessage(1));
  edge.send(nearAddress, 4500, stunMessage(2));
  CHECK(relayPlane.receive().payload == stunMessage(1));
  CHECK(directPlane.receive().payload == stunMessage(2));
  raw.await(2);
  CHECK(raw.events[0].payload == stunMessage(1));
  CHECK(raw.events[1].payload == stunMessage(2));
  // Outside there is one port, whoever sends; a rewritten packet has a right checksum still.
  net.enterNear();
  directPlane.send(farAddress, 4500, stunMessage(3));
  raw.socket.send({datagram(farAddress, 4500, stunMessage(4))});
  for (const size_t extra : {3u, 4u}) {
    const auto received = edge.receive();
    CHECK(received.payload == stunMessage(extra));
    CHECK_EQ(received.port, 4500);
  }
}

TEST("a raw socket needs ports that are ports") {
  Netns net;
  const auto open = [](std::vector<uint16_t> ports) { RawUdp(ports, 0, [](Event&&) { return true; }); };
  CHECK_THROWS(std::invalid_argument, open({}));
  CHECK_THROWS(std::invalid_argument, open({0}));
  CHECK_THROWS(std::invalid_argument, open(std::vector<uint16_t>(65, 4500)));
  open(std::vector<uint16_t>(64, 4500));
}

}  // namespace corax::test
