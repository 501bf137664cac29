#include "core/rtnl/encode.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace corax {
namespace {

constexpr uint16_t create = NLM_F_CREATE | NLM_F_EXCL;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

// Tables above 255 do not fit into the header's byte.
uint8_t tableByte(uint32_t table) { return table < 256 ? static_cast<uint8_t>(table) : uint8_t{RT_TABLE_UNSPEC}; }

}  // namespace

void encodeLinkCreate(MessageBatch& batch, const LinkCreate& op, uint32_t linkIndex) {
  batch.begin(RTM_NEWLINK, create);
  batch.header(ifinfomsg{});
  batch.text(IFLA_IFNAME, op.name);
  if (op.mac) batch.attribute(IFLA_ADDRESS, op.mac->view());
  const size_t info = batch.open(IFLA_LINKINFO);
  batch.text(IFLA_INFO_KIND, op.kind);
  if (op.vxlan) {
    const size_t data = batch.open(IFLA_INFO_DATA);
    batch.integer<uint32_t>(IFLA_VXLAN_ID, op.vxlan->vni);
    batch.integer<uint16_t>(IFLA_VXLAN_PORT, htons(op.vxlan->port));
    batch.integer<uint8_t>(IFLA_VXLAN_LEARNING, op.vxlan->learning ? 1 : 0);
    batch.close(data);
  }
  if (op.ifId != 0) {
    const size_t data = batch.open(IFLA_INFO_DATA);
    batch.integer<uint32_t>(IFLA_XFRM_IF_ID, op.ifId);
    if (linkIndex != 0) batch.integer<uint32_t>(IFLA_XFRM_LINK, linkIndex);
    batch.close(data);
  }
  batch.close(info);
  batch.end();
}

void encodeLinkDelete(MessageBatch& batch, const LinkDelete& op) {
  batch.begin(RTM_DELLINK, 0);
  batch.header(ifinfomsg{});
  batch.text(IFLA_IFNAME, op.name);
  batch.end();
}

void encodeLinkSet(MessageBatch& batch, const LinkSet& op) {
  batch.begin(RTM_SETLINK, 0);
  ifinfomsg header{};
  if (op.up) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = *op.up ? unsigned{IFF_UP} : 0;
  }
  batch.header(header);
  batch.text(IFLA_IFNAME, op.name);
  if (op.mtu) batch.integer<uint32_t>(IFLA_MTU, *op.mtu);
  if (op.rpFilter || op.forwarding) {
    // net.ipv4.conf.NAME.*: attribute types are IPV4_DEVCONF_* (linux/ip.h).
    const size_t spec = batch.open(IFLA_AF_SPEC);
    const size_t inet = batch.open(AF_INET);
    const size_t conf = batch.open(IFLA_INET_CONF);
    if (op.forwarding) batch.integer<uint32_t>(IPV4_DEVCONF_FORWARDING, *op.forwarding ? 1 : 0);
    if (op.rpFilter) batch.integer<uint32_t>(IPV4_DEVCONF_RP_FILTER, *op.rpFilter);
    batch.close(conf);
    batch.close(inet);
    batch.close(spec);
  }
  batch.end();
}

void encodeLinkGet(MessageBatch& batch, const std::string& name) {
  batch.begin(RTM_GETLINK, 0);
  batch.header(ifinfomsg{});
  batch.text(IFLA_IFNAME, name);
  batch.end();
}

void encodeAddress(MessageBatch& batch, const AddressChange& op, uint32_t ifindex) {
  batch.begin(op.remove ? RTM_DELADDR : RTM_NEWADDR, op.remove ? uint16_t{0} : create);
  ifaddrmsg header{};
  header.ifa_family = op.prefix.ip.addressFamily();
  header.ifa_prefixlen = op.prefix.length;
  header.ifa_index = ifindex;
  header.ifa_scope = op.scope;
  batch.header(header);
  batch.attribute(IFA_LOCAL, op.prefix.ip.view());
  batch.attribute(IFA_ADDRESS, op.prefix.ip.view());
  batch.end();
}

void encodeRoute(MessageBatch& batch, const RouteChange& op, uint32_t ifindex) {
  const bool unreachable = op.unreachable.value_or(false);
  batch.begin(op.remove ? RTM_DELROUTE : RTM_NEWROUTE, op.remove ? uint16_t{0} : uint16_t{NLM_F_REPLACE | NLM_F_CREATE});
  rtmsg header{};
  header.rtm_family = op.destination.ip.addressFamily();
  header.rtm_dst_len = op.destination.length;
  header.rtm_table = tableByte(op.table);
  if (op.remove) {
    // RT_SCOPE_NOWHERE and the zeros match any scope, type and protocol (fib_table_delete): raven's routes in
    // the tables that it shares with us are taken over.
    header.rtm_scope = RT_SCOPE_NOWHERE;
    if (op.unreachable) header.rtm_type = unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
  } else {
    header.rtm_protocol = routeProtocol;
    header.rtm_type = unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
    // Without a gateway the far end is on the link itself.
    header.rtm_scope = unreachable || op.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    if (op.gateway) header.rtm_flags = RTNH_F_ONLINK;
  }
  batch.header(header);
  if (op.destination.length > 0) batch.attribute(RTA_DST, op.destination.ip.view());
  batch.integer<uint32_t>(RTA_TABLE, op.table);
  if (op.metric) batch.integer<uint32_t>(RTA_PRIORITY, *op.metric);
  if (ifindex != 0) batch.integer<uint32_t>(RTA_OIF, ifindex);
  if (op.gateway) batch.attribute(RTA_GATEWAY, op.gateway->view());
  if (op.source) batch.attribute(RTA_PREFSRC, op.source->view());
  batch.end();
}

void encodeRule(MessageBatch& batch, const RuleChange& op) {
  const Rule& rule = op.rule;
  batch.begin(op.remove ? RTM_DELRULE : RTM_NEWRULE, op.remove ? uint16_t{0} : create);
  fib_rule_hdr header{};
  header.family = rule.family == 4 ? AF_INET : AF_INET6;
  header.src_len = rule.source ? rule.source->length : uint8_t{0};
  header.tos = rule.tos;
  header.table = tableByte(rule.table);
  header.action = FR_ACT_TO_TBL;
  batch.header(header);
  batch.integer<uint32_t>(FRA_PRIORITY, rule.priority);
  batch.integer<uint32_t>(FRA_TABLE, rule.table);
  if (rule.source && rule.source->length > 0) batch.attribute(FRA_SRC, rule.source->ip.view());
  if (rule.fwmark != 0) {
    batch.integer<uint32_t>(FRA_FWMARK, rule.fwmark);
    batch.integer<uint32_t>(FRA_FWMASK, UINT32_MAX);
  }
  if (rule.ipProtocol != 0) batch.integer<uint8_t>(FRA_IP_PROTO, rule.ipProtocol);
  // Whoever made it: what is said of a rule to delete is what it does, and raven's own are taken over.
  if (!op.remove) batch.integer<uint8_t>(FRA_PROTOCOL, routeProtocol);
  batch.end();
}

void encodeRouteGet(MessageBatch& batch, const Ip& destination, std::optional<uint32_t> fwmark) {
  batch.begin(RTM_GETROUTE, 0);
  rtmsg header{};
  header.rtm_family = destination.addressFamily();
  header.rtm_dst_len = destination.maxPrefix();
  // IPv6 says its table unasked, and strict checking lets it not be asked.
  if (destination.family == 4) header.rtm_flags = RTM_F_LOOKUP_TABLE;
  batch.header(header);
  batch.attribute(RTA_DST, destination.view());
  if (fwmark) batch.integer<uint32_t>(RTA_MARK, *fwmark);
  batch.end();
}

void encodeLinkDump(MessageBatch& batch) {
  batch.begin(RTM_GETLINK, 0);
  batch.header(ifinfomsg{});
  // Without them each link costs 1–2 KiB of statistics.
  batch.integer<uint32_t>(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  batch.end();
}

void encodeAddressDump(MessageBatch& batch) {
  batch.begin(RTM_GETADDR, 0);
  batch.header(ifaddrmsg{});
  batch.end();
}

void encodeRouteDump(MessageBatch& batch, uint8_t family, uint32_t table) {
  batch.begin(RTM_GETROUTE, 0);
  rtmsg header{};
  header.rtm_family = family;
  header.rtm_table = tableByte(table);
  batch.header(header);
  batch.integer<uint32_t>(RTA_TABLE, table);
  batch.end();
}

void encodeRuleDump(MessageBatch& batch) {
  batch.begin(RTM_GETRULE, 0);
  batch.header(fib_rule_hdr{});
  batch.end();
}

std::string describe(const NetworkOp& op) {
  return std::visit(
      Overloaded{
          [](const LinkCreate& it) { return "RTM_NEWLINK " + it.name; },
          [](const LinkDelete& it) { return "RTM_DELLINK " + it.name; },
          [](const LinkSet& it) { return "RTM_SETLINK " + it.name; },
          [](const AddressChange& it) {
            return (it.remove ? "RTM_DELADDR " : "RTM_NEWADDR ") + it.prefix.text() + " dev " + it.device;
          },
          [](const NeighbourChange& it) {
            return (it.remove ? "RTM_DELNEIGH " : "RTM_NEWNEIGH ") + (it.bridge ? it.mac.text() + " to " : "") + it.ip.text() +
                   " dev " + it.device;
          },
          [](const RouteChange& it) {
            const std::string device = it.device.empty() ? "" : " dev " + it.device;
            return (it.remove ? "RTM_DELROUTE " : "RTM_NEWROUTE ") + it.destination.text() + device + " table " +
                   std::to_string(it.table);
          },
          [](const RuleChange& it) {
            return (it.remove ? "RTM_DELRULE " : "RTM_NEWRULE ") + std::to_string(it.rule.priority) + " table " +
                   std::to_string(it.rule.table);
          },
      },
      op);
}

}  // namespace corax
