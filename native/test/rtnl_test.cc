// rtnetlink: captured dumps, and lies.
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <map>

#include "core/netlink/attribute_reader.h"
#include "core/rtnl/decode.h"
#include "core/rtnl/encode.h"
#include "core/rtnl/jobs.h"
#include "test/check.h"
#include "test/fake_engine.h"

namespace corax::test {
namespace {

Answer replay(std::map<std::pair<uint16_t, uint8_t>, std::string> fixtures) {
  return [fixtures = std::move(fixtures)](const std::vector<Request>& requests) {
    const auto found = fixtures.find({requests[0].type, requests[0].payload[0]});
    if (found == fixtures.end()) return std::vector<Datagram>{ack(requests[0], ENOENT, "FIB table does not exist")};
    return answering(fixture(found->second), requests[0].sequence);
  };
}

// "" for none.
std::string addressIn(const uint8_t* sixteen) {
  const auto none = [](uint8_t byte) { return byte == 0; };
  if (std::all_of(sixteen, sixteen + RouteColumns::addressSize, none)) return "";
  return Ip::from(isMapped(sixteen) ? Bytes{sixteen + 12, 4} : Bytes{sixteen, 16})->text();
}

std::string textOf(const RouteColumns& routes, size_t at) {
  const uint8_t* destination = &routes.destinations[at * RouteColumns::destinationSize];
  const std::string gateway = addressIn(&routes.gateways[at * RouteColumns::addressSize]);
  const std::string source = addressIn(&routes.sources[at * RouteColumns::addressSize]);
  CHECK_EQ(destination[0], isMapped(destination + 2) ? 4 : 6);
  return addressIn(destination + 2) + "/" + std::to_string(destination[1]) + " type " + std::to_string(routes.types[at]) +
         " metric " + std::to_string(routes.metrics[at]) + (gateway.empty() ? "" : " via " + gateway) +
         (source.empty() ? "" : " src " + source) + (routes.oifs[at] != 0 ? " oif" : "") + " proto " +
         std::to_string(routes.protocols[at]);
}

}  // namespace

TEST("rtnetlink: captured links") {
  JobRunner runner(replay({{{RTM_GETLINK, 0}, "links.bin"}}), silent);
  LinksJob job;
  runner.run(job);
  std::map<std::string, Link> links;
  for (const Link& link : job.links) links[link.name] = link;
  CHECK_EQ(links.at("wgfix").kind, "wireguard");
  CHECK_EQ(links.at("wgfix").mtu, 1420);
  CHECK(!links.at("wgfix").up);
  CHECK_EQ(links.at("brfix").kind, "bridge");
  CHECK_EQ(links.at("vfix1").kind, "veth");
  CHECK_EQ(links.at("vfix1").mtu, 1400);
  CHECK(links.at("vfix0").up);
  CHECK(links.at("vfix0").running);
  CHECK_EQ(links.at("lo").kind, "");
  CHECK_EQ(links.at("lo").index, 1);
}

TEST("rtnetlink: captured addresses, with the own end of a point-to-point one") {
  JobRunner runner(replay({{{RTM_GETADDR, 0}, "addresses.bin"}}), silent);
  AddressesJob job;
  runner.run(job);
  std::map<std::string, int> found;
  for (const Address& it : job.addresses) found[it.prefix.text()] = it.scope;
  CHECK_EQ(found.at("192.0.2.1/24"), int{RT_SCOPE_UNIVERSE});
  CHECK_EQ(found.at("192.0.2.9/32"), int{RT_SCOPE_UNIVERSE});
  CHECK_EQ(found.at("2001:db8:5::1/64"), int{RT_SCOPE_UNIVERSE});
  CHECK(found.count("192.0.2.10/32") == 0);
}

TEST("rtnetlink: captured routes of both families") {
  JobRunner runner(replay({{{RTM_GETROUTE, AF_INET}, "routes4.bin"}, {{RTM_GETROUTE, AF_INET6}, "routes6.bin"}}), silent);
  RoutesJob job(9028);
  runner.run(job);
  std::string all;
  for (size_t at = 0; at < job.routes.count(); at++) all += textOf(job.routes, at) + "\n";
  CHECK_EQ(all,
           "10.9.0.0/16 type 1 metric 0 src 192.0.2.1 oif proto 204\n"
           "10.9.0.0/16 type 7 metric 100 proto 3\n"
           "10.10.0.0/16 type 1 metric 7 via 192.0.2.2 oif proto 3\n"
           "10.11.0.0/16 type 1 metric 0 via 2001:db8:5::2 oif proto 3\n"
           "10.12.0.0/16 type 1 metric 0 via 192.0.2.3 oif proto 3\n"
           "2001:db8:9::/48 type 1 metric 1024 via 2001:db8:5::2 oif proto 3\n");
  // Without strict checking the kernel dumps every table.
  RoutesJob other(254);
  runner.run(other);
  CHECK_EQ(other.routes.count(), 0);
}

TEST("rtnetlink: the default routes alone, and an interrupted dump keeps the other family's") {
  const auto route = [](uint8_t family, uint8_t length, const Datagram& destination) {
    rtmsg header{};
    header.rtm_family = family;
    header.rtm_dst_len = length;
    header.rtm_type = RTN_UNICAST;
    header.rtm_table = RT_TABLE_MAIN;
    return bytesOf(header) + (destination.empty() ? Datagram() : attribute(RTA_DST, destination));
  };
  int dumps6 = 0;
  JobRunner runner(
      [&](const std::vector<Request>& requests) {
        const Request& it = requests[0];
        const bool six = it.payload[0] == AF_INET6;
        const uint16_t flags = six && dumps6++ == 0 ? NLM_F_MULTI | NLM_F_DUMP_INTR : NLM_F_MULTI;
        const auto one = [&](uint8_t length, const Datagram& destination) {
          return message(RTM_NEWROUTE, flags, it.sequence, route(six ? AF_INET6 : AF_INET, length, destination));
        };
        const Datagram net = six ? Datagram{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} : Datagram{10, 0, 0, 0};
        return std::vector<Datagram>{one(0, {}) + one(8, net), done(it)};
      },
      silent);
  RoutesJob all(RT_TABLE_MAIN);
  runner.run(all);
  CHECK_EQ(dumps6, 2);
  CHECK_EQ(all.routes.count(), 4);
  CHECK_EQ(textOf(all.routes, 1), "10.0.0.0/8 type 1 metric 0 proto 0");
  CHECK_EQ(textOf(all.routes, 3), "fd00::/8 type 1 metric 0 proto 0");
  RoutesJob defaults(RT_TABLE_MAIN, true);
  runner.run(defaults);
  CHECK_EQ(defaults.routes.count(), 2);
  CHECK_EQ(textOf(defaults.routes, 0), "0.0.0.0/0 type 1 metric 0 proto 0");
  CHECK_EQ(defaults.routes.destinations[RouteColumns::destinationSize], 6);
  CHECK_EQ(defaults.routes.destinations[RouteColumns::destinationSize + 1], 0);
}

TEST("rtnetlink: a table that nobody made has no routes") {
  JobRunner runner(replay({}), silent);
  RoutesJob job(77);
  runner.run(job);
  CHECK_EQ(job.routes.count(), 0);
}

TEST("rtnetlink: captured rules") {
  JobRunner runner(replay({{{RTM_GETRULE, 0}, "rules.bin"}}), silent);
  RulesJob job;
  runner.run(job);
  std::map<uint32_t, Rule> rules;
  for (const Rule& rule : job.rules) rules[rule.priority] = rule;
  CHECK_EQ(rules.at(99).source->text(), "192.0.2.1/32");
  CHECK_EQ(rules.at(99).tos, 0x10);
  CHECK_EQ(rules.at(99).table, 9029);
  CHECK_EQ(rules.at(99).ipProtocol, 1);
  CHECK_EQ(rules.at(98).fwmark, 0x1234);
  CHECK_EQ(rules.at(98).fwmask, 0xffff);
  CHECK_EQ(rules.at(98).protocol, 204);
  CHECK_EQ(rules.at(98).table, 254);
  CHECK_EQ(rules.at(101).family, 6);
  CHECK_EQ(rules.at(101).source->text(), "2001:db8:5::/64");
  for (const Rule& rule : job.rules) CHECK(!rule.other);
}

TEST("rtnetlink: a rule with selectors or an action that are not read says so") {
  fib_rule_hdr plain{};
  plain.family = AF_INET;
  plain.action = FR_ACT_TO_TBL;
  const auto other = [](const fib_rule_hdr& header, const Datagram& attributes = {}) {
    const Datagram payload = bytesOf(header) + attributes;
    return decodeRule({RTM_NEWRULE, 0, {payload.data(), payload.size()}})->other;
  };
  CHECK(!other(plain));
  CHECK(!other(plain, attribute(FRA_SUPPRESS_PREFIXLEN, bytesOf(-1)) + attribute(FRA_PRIORITY, bytesOf(7))));
  fib_rule_hdr to = plain;
  to.dst_len = 8;
  fib_rule_hdr inverted = plain;
  inverted.flags = FIB_RULE_INVERT;
  fib_rule_hdr blackhole = plain;
  blackhole.action = FR_ACT_BLACKHOLE;
  for (const fib_rule_hdr& header : {to, inverted, blackhole}) CHECK(other(header));
  CHECK(other(plain, attribute(FRA_SUPPRESS_PREFIXLEN, bytesOf(0))));
  for (const uint16_t type : {uint16_t{FRA_IIFNAME}, uint16_t{FRA_OIFNAME}, uint16_t{FRA_DPORT_RANGE},
                              uint16_t{FRA_UID_RANGE}, uint16_t{FRA_L3MDEV}, uint16_t{99}})
    CHECK(other(plain, attribute(type, Datagram(8))));
}

TEST("rtnetlink: addresses of a wrong length and impossible prefixes are EBADMSG") {
  rtmsg header{};
  header.rtm_family = AF_INET;
  const auto decode = [&](const Datagram& payload) {
    return failureOf([&] { decodeRoute({RTM_NEWROUTE, 0, {payload.data(), payload.size()}}); }).number();
  };
  CHECK_EQ(decode(bytesOf(header) + attribute(RTA_DST, Datagram(16))), EBADMSG);
  CHECK_EQ(decode(bytesOf(header) + attribute(RTA_GATEWAY, Datagram(3))), EBADMSG);
  CHECK_EQ(decode(bytesOf(header) + attribute(RTA_MULTIPATH, bytesOf(rtnexthop{200, 0, 0, 1}))), EBADMSG);
  CHECK_EQ(decode(bytesOf(header) + attribute(RTA_MULTIPATH, bytesOf(rtnexthop{2, 0, 0, 1}))), EBADMSG);
  CHECK_EQ(decode({1, 2, 3}), EBADMSG);
  header.rtm_dst_len = 33;
  CHECK_EQ(decode(bytesOf(header)), EBADMSG);
}

}  // namespace corax::test
