// raven's overlay: what the requests look like, and answers that lie.
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <map>
#include <string>
#include <vector>

#include "core/netlink/attribute_reader.h"
#include "core/netlink/notifications.h"
#include "core/rtnl/encode.h"
#include "core/rtnl/jobs.h"
#include "core/rtnl/neighbours.h"
#include "test/check.h"
#include "test/fake_engine.h"

namespace corax::test {
namespace {

std::map<uint16_t, Datagram> attributesOf(Bytes bytes) {
  std::map<uint16_t, Datagram> found;
  eachAttribute(bytes, [&](const Attribute& it) { found[it.type] = Datagram(it.value.data, it.value.data + it.value.size); });
  return found;
}

// What follows nlmsghdr.
Bytes payloadOf(const MessageBatch& batch) { return {batch.view().data + NLMSG_HDRLEN, batch.size() - NLMSG_HDRLEN}; }

Datagram neighbour(uint8_t family, const Datagram& attributes) {
  ndmsg header{};
  header.ndm_family = family;
  header.ndm_ifindex = 7;
  header.ndm_state = NUD_PERMANENT;
  return bytesOf(header) + attributes;
}

NetlinkMessage messageOf(const Datagram& payload, uint16_t type = RTM_NEWNEIGH) {
  return {type, 0, {payload.data(), payload.size()}};
}

const Datagram MAC = {0xaa, 0x0f, 0xf0, 0, 0, 3};

}  // namespace

TEST("overlay: MAC addresses are read whole or not at all") {
  CHECK_EQ(Mac::parse("AA:0f:f0:00:00:03")->text(), "aa:0f:f0:00:00:03");
  for (const char* wrong : {"", "aa:0f:f0:00:00", "aa:0f:f0:00:00:3", "aa:0f:f0:00:00:0g", "aa-0f-f0-00-00-03", "aa:0f:f0:00:00:03:"}) {
    CHECK(!Mac::parse(wrong));
  }
  CHECK(!Mac::from({MAC.data(), 5}));
}

TEST("overlay: an FDB entry is the device's own, and one of ARP has no flag") {
  const Mac mac = *Mac::from({MAC.data(), MAC.size()});
  for (const bool bridge : {true, false}) {
    MessageBatch batch;
    encodeNeighbour(batch, NeighbourChange{false, bridge, "raven0", mac, *Ip::parse("192.0.2.3")}, 7);
    const auto header = readHeader<ndmsg>(payloadOf(batch));
    CHECK_EQ(header.ndm_family, bridge ? AF_BRIDGE : AF_INET);
    CHECK_EQ(header.ndm_ifindex, 7);
    CHECK_EQ(header.ndm_flags, bridge ? NTF_SELF : 0);
    CHECK_EQ(header.ndm_state, bridge ? NUD_PERMANENT | NUD_NOARP : NUD_PERMANENT);
    auto attributes = attributesOf(after(payloadOf(batch), sizeof header));
    CHECK(attributes[NDA_LLADDR] == MAC);
    CHECK((attributes[NDA_DST] == Datagram{192, 0, 2, 3}));
  }
}

TEST("overlay: what is read is what there is, and lies are refused") {
  const Datagram ip = {240, 0, 0, 3};
  const Datagram whole = neighbour(AF_INET, attribute(NDA_DST, ip) + attribute(NDA_LLADDR, MAC));
  const auto found = decodeNeighbour(messageOf(whole));
  CHECK(found && !found->bridge && found->permanent);
  CHECK_EQ(found->mac.text(), "aa:0f:f0:00:00:03");
  CHECK_EQ(found->ip.text(), "240.0.0.3");
  // Unresolved; a bridge's own; another family; lengths that are none.
  CHECK(!decodeNeighbour(messageOf(neighbour(AF_INET, attribute(NDA_DST, ip)))));
  CHECK(!decodeNeighbour(messageOf(neighbour(AF_BRIDGE, attribute(NDA_LLADDR, MAC)))));
  CHECK(!decodeNeighbour(messageOf(neighbour(AF_INET6, attribute(NDA_DST, ip) + attribute(NDA_LLADDR, MAC)))));
  CHECK(!decodeNeighbour(messageOf(neighbour(AF_INET, attribute(NDA_DST, {240, 0, 0}) + attribute(NDA_LLADDR, MAC)))));
  CHECK(!decodeNeighbour(messageOf(neighbour(AF_INET, attribute(NDA_DST, ip) + attribute(NDA_LLADDR, {1, 2})))));
  for (size_t length = 0; length < sizeof(ndmsg); length++) {
    const Datagram cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK_EQ(failureOf([&] { decodeNeighbour(messageOf(cut)); }).number(), EBADMSG);
    CHECK_EQ(failureOf([&] { concernsOverlay(messageOf(cut)); }).number(), EBADMSG);
  }
}

TEST("overlay: captured device and entries") {
  const auto answer = [](const std::vector<Request>& requests) {
    const Request& it = requests[0];
    const char* name = it.type == RTM_GETLINK ? "overlay-link.bin" : it.payload[0] == AF_BRIDGE ? "overlay-fdb.bin" : "overlay-arp.bin";
    return answering(fixture(name), it.sequence);
  };
  JobRunner runner(answer, silent);
  LinksJob links;
  runner.run(links);
  uint32_t index = 0;
  for (const Link& link : links.links) {
    if (link.name != "raven0") {
      CHECK(!link.vxlan);
      continue;
    }
    index = link.index;
    CHECK_EQ(link.mac->text(), "aa:0f:f0:00:00:02");
    CHECK_EQ(link.vxlan->vni, 200);
    CHECK_EQ(link.vxlan->port, 4472);
    CHECK(!link.vxlan->learning);
  }
  CHECK(index != 0);
  const auto texts = [&](uint8_t family) {
    std::vector<std::string> found;
    for (const Datagram& datagram : fixture(family == AF_BRIDGE ? "overlay-fdb.bin" : "overlay-arp.bin")) {
      eachMessage({datagram.data(), datagram.size()}, [&](const NetlinkMessage& message, uint32_t) {
        if (message.type != RTM_NEWNEIGH) return;
        const auto it = decodeNeighbour(message);
        if (it && it->ifindex == index && it->permanent) found.push_back(it->mac.text() + " " + it->ip.text());
      });
    }
    return found;
  };
  CHECK((texts(AF_BRIDGE) == std::vector<std::string>{"aa:0f:f0:00:00:03 192.0.2.3", "00:00:00:00:00:00 192.0.2.7"}));
  CHECK((texts(AF_INET) == std::vector<std::string>{"aa:0f:f0:00:00:03 240.0.0.3"}));
}

TEST("overlay: only its own entries count as a change") {
  const Datagram behind = attribute(NDA_DST, {192, 0, 2, 3}) + attribute(NDA_LLADDR, MAC);
  CHECK(concernsOverlay(messageOf(neighbour(AF_BRIDGE, behind), RTM_DELNEIGH)));
  CHECK(!concernsOverlay(messageOf(neighbour(AF_BRIDGE, behind), RTM_NEWNEIGH)));
  CHECK(!concernsOverlay(messageOf(neighbour(AF_INET, behind))));
  // One that failed has no MAC any more.
  CHECK(concernsOverlay(messageOf(neighbour(AF_INET, attribute(NDA_DST, {240, 0, 0, 3})))));
}

TEST("overlay: the device says what it is, in network order") {
  LinkCreate op{"raven0", "vxlan"};
  op.vxlan = Vxlan{200, 4472, false};
  op.mac = Mac::from({MAC.data(), MAC.size()});
  MessageBatch batch;
  encodeLinkCreate(batch, op, 0);
  auto attributes = attributesOf(after(payloadOf(batch), sizeof(ifinfomsg)));
  CHECK(attributes[IFLA_ADDRESS] == MAC);
  auto info = attributesOf({attributes[IFLA_LINKINFO].data(), attributes[IFLA_LINKINFO].size()});
  auto data = attributesOf({info[IFLA_INFO_DATA].data(), info[IFLA_INFO_DATA].size()});
  CHECK((data[IFLA_VXLAN_PORT] == Datagram{4472 >> 8, 4472 & 255}));
  CHECK(data[IFLA_VXLAN_LEARNING] == Datagram{0});
}

}  // namespace corax::test
