// Changes of the network: what the requests look like, and how errors of a batch are taken.
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <map>

#include "core/netlink/attribute_reader.h"
#include "core/rtnl/decode.h"
#include "core/rtnl/encode.h"
#include "core/rtnl/jobs.h"
#include "test/check.h"
#include "test/fake_engine.h"

namespace corax::test {
namespace {

// Values of a request's attributes, by type.
std::map<uint16_t, Datagram> attributesOf(const Request& request, size_t header) {
  std::map<uint16_t, Datagram> found;
  eachAttribute(after(request.view(), header), [&](const Attribute& it) {
    found[it.type] = Datagram(it.value.data, it.value.data + it.value.size);
  });
  return found;
}

NetworkOp route(const std::string& destination, const std::string& device) {
  RouteChange op;
  op.table = 9028;
  op.destination = *IpPrefix::parse(destination);
  op.device = device;
  return op;
}

// Knows devices by name; refuses what a test wants refused.
class FakeNetwork {
 public:
  std::map<std::string, std::pair<uint32_t, std::string>> links;
  std::function<int(const Request&)> refuse = [](const Request&) { return 0; };
  std::vector<size_t> batches;

  std::vector<Datagram> operator()(const std::vector<Request>& requests) {
    batches.push_back(requests.size());
    std::vector<Datagram> answers;
    for (const Request& it : requests) {
      int error = refuse(it);
      if (error == 0 && it.type == RTM_NEWLINK) error = create(it);
      if (error == 0 && it.type == RTM_GETLINK) error = get(it, answers);
      if (error != 0 || (it.flags & NLM_F_ACK) != 0) answers.push_back(ack(it, error, error != 0 ? "words" : ""));
    }
    return answers;
  }

 private:
  std::string nameIn(const Request& it) {
    const Datagram name = attributesOf(it, sizeof(ifinfomsg))[IFLA_IFNAME];
    return reinterpret_cast<const char*>(name.data());
  }
  int create(const Request& it) {
    return links.emplace(nameIn(it), std::make_pair(static_cast<uint32_t>(100 + links.size()), "wireguard")).second ? 0 : EEXIST;
  }
  int get(const Request& it, std::vector<Datagram>& answers) {
    const auto found = links.find(nameIn(it));
    if (found == links.end()) return ENODEV;
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(found->second.first);
    answers.push_back(message(RTM_NEWLINK, 0, it.sequence,
                              bytesOf(header) + attribute(IFLA_IFNAME, textBytes(found->first)) +
                                  attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, textBytes(found->second.second)))));
    return 0;
  }
};

}  // namespace

TEST("network: routes go in batches of one send, the device is looked up once") {
  FakeNetwork network;
  network.links["raven-wg0"] = {7, "wireguard"};
  JobRunner runner([&](const std::vector<Request>& requests) { return network(requests); }, silent);
  std::vector<NetworkOp> ops;
  for (int index = 0; index < 1000; index++) {
    ops.push_back(route("10." + std::to_string(index / 256) + "." + std::to_string(index % 256) + ".0/24", "raven-wg0"));
  }
  network.refuse = [&](const Request& it) {
    if (it.type != RTM_NEWROUTE) return 0;
    auto attributes = attributesOf(it, sizeof(rtmsg));
    CHECK_EQ(attributes[RTA_OIF][0], 7);
    CHECK((it.flags & (NLM_F_REPLACE | NLM_F_CREATE)) == (NLM_F_REPLACE | NLM_F_CREATE));
    return attributes[RTA_DST] == Datagram{10, 2, 3, 0} ? ENETUNREACH : 0;
  };
  NetworkJob job(std::move(ops));
  CHECK_EQ(runner.run(job), 8);
  CHECK_EQ(network.batches.size(), 9);
  for (size_t index = 0; index < 1000; index++) CHECK_EQ(job.results[index].has_value(), index == 515);
  CHECK_EQ(job.results[515]->what(), "RTM_NEWROUTE 10.2.3.0/24 dev raven-wg0 table 9028: Network is unreachable (ENETUNREACH): words");
  CHECK_EQ(job.results[515]->extAck(), "words");
}

TEST("network: a device is found after the operation that made it, and again when it was made anew") {
  FakeNetwork network;
  JobRunner runner([&](const std::vector<Request>& requests) { return network(requests); }, silent);
  NetworkJob job({LinkCreate{"wg1", "wireguard"}, route("10.0.0.0/8", "wg1"), route("10.1.0.0/16", "none"),
                  LinkCreate{"none", "wireguard"}, route("10.2.0.0/16", "none")});
  runner.run(job);
  for (const size_t index : {0u, 1u, 3u, 4u}) CHECK(!job.results[index]);
  CHECK_EQ(job.results[2]->number(), ENODEV);
}

TEST("network: what is as it should be is success, and only that") {
  FakeNetwork network;
  network.links["wg0"] = {7, "wireguard"};
  network.links["eth0"] = {8, ""};
  JobRunner runner([&](const std::vector<Request>& requests) { return network(requests); }, silent);
  AddressChange add{false, "wg0", *IpPrefix::parse("10.0.0.1/32")};
  AddressChange remove{true, "wg0", *IpPrefix::parse("10.0.0.1/32")};
  AddressChange removeGone{true, "gone", *IpPrefix::parse("10.0.0.1/32")};
  RouteChange removeRoute;
  removeRoute.remove = true;
  removeRoute.destination = *IpPrefix::parse("10.0.0.0/8");
  const std::map<uint16_t, int> errors = {{RTM_NEWADDR, EEXIST}, {RTM_DELADDR, EADDRNOTAVAIL}, {RTM_DELROUTE, ESRCH},
                                          {RTM_NEWRULE, EEXIST}, {RTM_DELRULE, ENOENT},        {RTM_DELLINK, ENODEV}};
  network.refuse = [&](const Request& it) {
    const auto found = errors.find(it.type);
    return found == errors.end() ? 0 : found->second;
  };
  const std::vector<NetworkOp> ops = {LinkCreate{"wg0", "wireguard"}, add,           remove,
                                      removeGone,                     removeRoute,   RuleChange{false, {}},
                                      RuleChange{true, {}},           LinkDelete{"gone"}};
  NetworkJob job(ops);
  runner.run(job);
  for (const auto& result : job.results) CHECK(!result);
  // Another kind of device has the name.
  NetworkJob taken({LinkCreate{"eth0", "wireguard"}});
  runner.run(taken);
  CHECK_EQ(taken.results[0]->number(), EEXIST);
  // The same errors of the opposite operations are errors.
  network.refuse = [](const Request& it) {
    return it.type == RTM_NEWADDR || it.type == RTM_NEWRULE ? EADDRNOTAVAIL : it.type == RTM_GETLINK ? 0 : EEXIST;
  };
  NetworkJob wrong({add, RuleChange{false, {}}, removeRoute, RuleChange{true, {}}});
  runner.run(wrong);
  for (const auto& result : wrong.results) CHECK(result.has_value());
}

TEST("network: on a kernel without IPv6 its rules are no error, nor is taking its routes away") {
  FakeNetwork network;
  network.links["wg0"] = {7, "wireguard"};
  JobRunner runner([&](const std::vector<Request>& requests) { return network(requests); }, silent);
  Rule six;
  six.family = 6;
  const auto change = [](const char* destination, bool remove) {
    RouteChange op;
    op.remove = remove;
    op.table = 9028;
    op.destination = *IpPrefix::parse(destination);
    op.device = "wg0";
    return op;
  };
  const std::vector<NetworkOp> ops = {change("fd00::/64", true),  RuleChange{false, six}, RuleChange{true, six},
                                      change("fd00::/64", false), RuleChange{false, {}},  RuleChange{true, {}},
                                      change("10.0.0.0/8", true)};
  for (const auto& [error, needless] : {std::pair<int, size_t>{EAFNOSUPPORT, 3}, {EOPNOTSUPP, 1}}) {
    network.refuse = [refused = error](const Request& it) { return it.type == RTM_GETLINK ? 0 : refused; };
    NetworkJob job(ops);
    runner.run(job);
    for (size_t index = 0; index < ops.size(); index++) CHECK_EQ(job.results[index].has_value(), index >= needless);
  }
}

TEST("network: where ACKs were lost every operation is done again, on its own") {
  FakeNetwork network;
  network.links["wg0"] = {7, "wireguard"};
  JobRunner* at = nullptr;
  bool lose = true;
  JobRunner runner(
      [&](const std::vector<Request>& requests) {
        if (requests.size() > 1 && lose) at->route().latest->failure = ENOBUFS;
        return network(requests);
      },
      silent);
  at = &runner;
  NetworkJob job({route("10.0.0.0/16", "wg0"), route("10.1.0.0/16", "wg0"), route("10.2.0.0/16", "wg0")});
  runner.run(job);
  for (const auto& result : job.results) CHECK(!result);
  // Device, the three together, the three one by one.
  CHECK_EQ(network.batches.size(), 5);
  CHECK_EQ(runner.route().opened, 2);
}

TEST("network: a kernel that does not answer fails the job, it does not hang it") {
  JobRunner runner(silent, silent);
  NetworkJob job({RuleChange{false, {}}, RuleChange{false, {}}});
  CHECK_EQ(failureOf([&] { runner.run(job); }).number(), ETIMEDOUT);
}

TEST("network: requests say what they should") {
  std::vector<Request> sent;
  FakeNetwork network;
  network.links["wg0"] = {7, "wireguard"};
  JobRunner runner(
      [&](const std::vector<Request>& requests) {
        sent = requests;
        return network(requests);
      },
      silent);
  LinkSet set;
  set.name = "wg0";
  set.mtu = 1420;
  set.up = true;
  set.rpFilter = uint8_t{2};
  set.forwarding = true;
  RouteChange unreachable;
  unreachable.table = 9028;
  unreachable.destination = *IpPrefix::parse("2001:db8::/32");
  unreachable.metric = 4000;
  unreachable.unreachable = true;
  Rule rule;
  rule.family = 4;
  rule.priority = 99;
  rule.table = 9029;
  rule.tos = 0x10;
  rule.source = IpPrefix::parse("10.1.2.3/32");
  rule.ipProtocol = 1;
  rule.fwmark = 5;
  NetworkJob job({set, unreachable, RuleChange{false, rule}, RuleChange{true, rule}});
  runner.run(job);
  CHECK_EQ(sent.size(), 4);

  const auto link = readHeader<ifinfomsg>(sent[0].view());
  CHECK_EQ(link.ifi_flags & link.ifi_change, 1u);
  auto attributes = attributesOf(sent[0], sizeof link);
  CHECK_EQ(attributes[IFLA_MTU][1] << 8 | attributes[IFLA_MTU][0], 1420);
  // IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { forwarding = 1, rp_filter = 2 } } }
  std::map<int, int> conf;
  eachAttribute({attributes[IFLA_AF_SPEC].data(), attributes[IFLA_AF_SPEC].size()}, [&](const Attribute& family) {
    CHECK_EQ(family.type, AF_INET);
    eachAttribute(family.value, [&](const Attribute& inet) {
      CHECK_EQ(inet.type, int{IFLA_INET_CONF});
      eachAttribute(inet.value, [&](const Attribute& it) { conf[it.type] = it.integer<int32_t>(); });
    });
  });
  CHECK_EQ(conf.size(), 2);
  CHECK_EQ(conf[1], 1);
  CHECK_EQ(conf[8], 2);

  const auto header = readHeader<rtmsg>(sent[1].view());
  CHECK_EQ(header.rtm_type, int{RTN_UNREACHABLE});
  CHECK_EQ(header.rtm_protocol, routeProtocol);
  CHECK_EQ(header.rtm_family, AF_INET6);
  attributes = attributesOf(sent[1], sizeof header);
  CHECK(attributes.count(RTA_OIF) == 0);
  CHECK_EQ(attributes[RTA_PRIORITY][0] | attributes[RTA_PRIORITY][1] << 8, 4000);

  for (const size_t index : {2u, 3u}) {
    attributes = attributesOf(sent[index], sizeof(fib_rule_hdr));
    CHECK_EQ(readHeader<fib_rule_hdr>(sent[index].view()).tos, 0x10);
    CHECK_EQ(readHeader<fib_rule_hdr>(sent[index].view()).src_len, 32);
    CHECK_EQ(attributes.count(FRA_PROTOCOL), index == 2 ? 1 : 0);
    CHECK(attributes[FRA_IP_PROTO] == Datagram{1});
    CHECK((attributes[FRA_SRC] == Datagram{10, 1, 2, 3}));
  }
}

}  // namespace corax::test
