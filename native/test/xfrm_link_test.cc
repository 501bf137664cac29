// XFRM interfaces over rtnetlink: how one is asked for, and what counts as there already.
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "core/netlink/attribute_reader.h"
#include "core/rtnl/decode.h"
#include "core/rtnl/jobs.h"
#include "test/check.h"
#include "test/fake_engine.h"

namespace corax::test {
namespace {

Datagram linkOf(int index, const std::string& name, const Datagram& info) {
  ifinfomsg header{};
  header.ifi_index = index;
  return bytesOf(header) + attribute(IFLA_IFNAME, textBytes(name)) + attribute(IFLA_LINKINFO, info);
}

Datagram xfrmInfo(uint32_t ifId) {
  return attribute(IFLA_INFO_KIND, textBytes("xfrm")) +
         attribute(IFLA_INFO_DATA, attribute(IFLA_XFRM_LINK, bytesOf(7)) + attribute(IFLA_XFRM_IF_ID, bytesOf(ifId)));
}

Link decoded(const Datagram& payload) { return *decodeLink({RTM_NEWLINK, 0, {payload.data(), payload.size()}}); }

LinkCreate xfrmLink(const std::string& name, uint32_t ifId, const std::string& link) {
  LinkCreate op;
  op.name = name;
  op.kind = "xfrm";
  op.ifId = ifId;
  op.link = link;
  return op;
}

}  // namespace

TEST("links: the if_id of an XFRM interface is read, and of no other kind that has such an attribute") {
  CHECK_EQ(decoded(linkOf(1, "ipsec1", xfrmInfo(42))).ifId, 42);
  Datagram other = attribute(IFLA_INFO_KIND, textBytes("vlan")) + attribute(IFLA_INFO_DATA, attribute(IFLA_XFRM_IF_ID, bytesOf(42)));
  CHECK_EQ(decoded(linkOf(1, "vlan1", other)).ifId, 0);
  other = attribute(IFLA_INFO_KIND, textBytes("xfrm")) + attribute(IFLA_INFO_DATA, attribute(IFLA_XFRM_IF_ID, {1, 2}));
  CHECK_EQ(failureOf([&] { decoded(linkOf(1, "ipsec1", other)); }).number(), EBADMSG);
}

TEST("network: an XFRM interface is asked for with its if_id, and with the index of the device below") {
  std::vector<Request> created;
  JobRunner runner(
      [&](const std::vector<Request>& requests) {
        std::vector<Datagram> answers;
        for (const Request& it : requests) {
          if (it.type == RTM_GETLINK) answers.push_back(message(RTM_NEWLINK, 0, it.sequence, linkOf(7, "eth0", {})));
          if (it.type == RTM_NEWLINK) created.push_back(it);
          if ((it.flags & NLM_F_ACK) != 0) answers.push_back(ack(it));
        }
        return answers;
      },
      silent);
  NetworkJob job({xfrmLink("ipsec1", 1, ""), xfrmLink("ipsec2", 2, "eth0")});
  runner.run(job);
  for (const auto& result : job.results) CHECK(!result.has_value());
  CHECK_EQ(created.size(), 2);
  for (uint32_t index = 0; index < 2; index++) {
    // The same bytes as the kernel's own answer has them.
    CHECK_EQ(decoded(created[index].payload).ifId, index + 1);
    bool below = false;
    eachAttribute(after(created[index].view(), sizeof(ifinfomsg)), [&](const Attribute& attribute) {
      if (attribute.type != IFLA_LINKINFO) return;
      eachAttribute(attribute.value, [&](const Attribute& info) {
        if (info.type != IFLA_INFO_DATA) return;
        eachAttribute(info.value, [&](const Attribute& data) {
          if (data.type != IFLA_XFRM_LINK) return;
          below = true;
          CHECK_EQ(data.integer<uint32_t>(), 7);
        });
      });
    });
    CHECK_EQ(below, index == 1);
  }
}

TEST("network: an XFRM interface that is there is success with the same if_id only; no device below is ENODEV") {
  JobRunner runner(
      [&](const std::vector<Request>& requests) {
        std::vector<Datagram> answers;
        for (const Request& it : requests) {
          const std::string name = decoded(it.payload).name;
          const bool get = it.type == RTM_GETLINK;
          if (get && name == "ipsec1") answers.push_back(message(RTM_NEWLINK, 0, it.sequence, linkOf(9, name, xfrmInfo(1))));
          answers.push_back(ack(it, !get ? EEXIST : name == "ipsec1" ? 0 : ENODEV));
        }
        return answers;
      },
      silent);
  NetworkJob job({xfrmLink("ipsec1", 1, ""), xfrmLink("ipsec1", 2, ""), xfrmLink("ipsec3", 3, "nosuch0")});
  runner.run(job);
  CHECK(!job.results[0].has_value());
  CHECK_EQ(job.results[1]->number(), EEXIST);
  CHECK_EQ(job.results[2]->number(), ENODEV);
}

}  // namespace corax::test
