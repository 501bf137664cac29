#include "core/rtnl/decode.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "core/netlink/attribute_reader.h"

namespace corax {
namespace {

// net/if.h has no IFF_LOWER_UP, and linux/if.h clashes with it.
constexpr unsigned lowerUp = 1u << 16;

std::optional<uint8_t> ipFamily(uint8_t addressFamily) {
  if (addressFamily == AF_INET) return uint8_t{4};
  if (addressFamily == AF_INET6) return uint8_t{6};
  return std::nullopt;
}

Ip readIp(const Attribute& attribute, uint8_t family) {
  const std::optional<Ip> ip = Ip::from(attribute.value);
  if (!ip || ip->family != family) malformed("address length");
  return *ip;
}

uint8_t readLength(uint8_t length, uint8_t family) {
  if (length > (family == 4 ? 32 : 128)) malformed("prefix length");
  return length;
}

// RTA_VIA: a gateway of the other family (RFC 5549).
std::optional<Ip> readVia(const Attribute& attribute) {
  const auto family = ipFamily(static_cast<uint8_t>(attribute.integer<uint16_t>()));
  if (!family) return std::nullopt;
  return Ip::from({attribute.value.data + 2, attribute.value.size - 2});
}

// The first next hop of a multipath route stands for it.
void readNexthops(const Attribute& multipath, uint8_t family, Route& route) {
  if (multipath.value.size == 0) return;
  const auto hop = readHeader<rtnexthop>(multipath.value);
  if (hop.rtnh_len < sizeof hop || hop.rtnh_len > multipath.value.size) malformed("next hop length");
  route.oif = static_cast<uint32_t>(hop.rtnh_ifindex);
  eachAttribute({multipath.value.data + sizeof hop, hop.rtnh_len - sizeof hop}, [&](const Attribute& attribute) {
    if (attribute.type == RTA_GATEWAY) route.gateway = readIp(attribute, family);
    if (attribute.type == RTA_VIA) route.gateway = readVia(attribute);
  });
}

Vxlan readVxlan(Bytes attributes) {
  Vxlan vxlan;
  eachAttribute(attributes, [&](const Attribute& data) {
    if (data.type == IFLA_VXLAN_ID) vxlan.vni = data.integer<uint32_t>();
    if (data.type == IFLA_VXLAN_PORT) vxlan.port = ntohs(data.integer<uint16_t>());
    if (data.type == IFLA_VXLAN_LEARNING) vxlan.learning = data.integer<uint8_t>() != 0;
  });
  return vxlan;
}

// What IFLA_INFO_DATA holds is said by the kind, which comes before it.
void readLinkInfo(Bytes attributes, Link& link) {
  eachAttribute(attributes, [&](const Attribute& info) {
    if (info.type == IFLA_INFO_KIND) link.kind = info.text();
    if (info.type != IFLA_INFO_DATA) return;
    if (link.kind == "vxlan") link.vxlan = readVxlan(info.value);
    if (link.kind != "xfrm") return;
    eachAttribute(info.value, [&](const Attribute& data) {
      if (data.type == IFLA_XFRM_IF_ID) link.ifId = data.integer<uint32_t>();
    });
  });
}

}  // namespace

std::optional<Link> decodeLink(const NetlinkMessage& message) {
  const auto header = readHeader<ifinfomsg>(message.payload);
  // Bridges speak of their ports in link messages of their own family.
  if (header.ifi_family != AF_UNSPEC) return std::nullopt;
  Link link;
  link.index = static_cast<uint32_t>(header.ifi_index);
  link.up = (header.ifi_flags & IFF_UP) != 0;
  link.running = (header.ifi_flags & lowerUp) != 0;
  eachAttribute(after(message.payload, sizeof header), [&](const Attribute& attribute) {
    if (attribute.type == IFLA_IFNAME) link.name = attribute.text();
    if (attribute.type == IFLA_ADDRESS) link.mac = Mac::from(attribute.value);
    if (attribute.type == IFLA_MTU) link.mtu = attribute.integer<uint32_t>();
    if (attribute.type == IFLA_LINKINFO) {
      readLinkInfo(attribute.value, link);
    }
  });
  return link;
}

std::optional<Address> decodeAddress(const NetlinkMessage& message) {
  const auto header = readHeader<ifaddrmsg>(message.payload);
  const auto family = ipFamily(header.ifa_family);
  if (!family) return std::nullopt;
  Address address;
  address.ifindex = header.ifa_index;
  address.scope = header.ifa_scope;
  address.prefix.ip.family = *family;
  address.prefix.length = readLength(header.ifa_prefixlen, *family);
  bool local = false;
  eachAttribute(after(message.payload, sizeof header), [&](const Attribute& attribute) {
    // On a point-to-point link IFA_ADDRESS is the far end and IFA_LOCAL our own.
    if (attribute.type == IFA_LOCAL || (attribute.type == IFA_ADDRESS && !local)) {
      address.prefix.ip = readIp(attribute, *family);
      local = attribute.type == IFA_LOCAL;
    }
  });
  return address;
}

std::optional<Route> decodeRoute(const NetlinkMessage& message) {
  const auto header = readHeader<rtmsg>(message.payload);
  const auto family = ipFamily(header.rtm_family);
  if (!family) return std::nullopt;
  Route route;
  route.table = header.rtm_table;
  route.type = header.rtm_type;
  route.protocol = header.rtm_protocol;
  route.destination.ip.family = *family;
  route.destination.length = readLength(header.rtm_dst_len, *family);
  eachAttribute(after(message.payload, sizeof header), [&](const Attribute& attribute) {
    switch (attribute.type) {
      case RTA_DST: route.destination.ip = readIp(attribute, *family); break;
      case RTA_TABLE: route.table = attribute.integer<uint32_t>(); break;
      case RTA_PRIORITY: route.metric = attribute.integer<uint32_t>(); break;
      case RTA_OIF: route.oif = attribute.integer<uint32_t>(); break;
      case RTA_GATEWAY: route.gateway = readIp(attribute, *family); break;
      case RTA_VIA: route.gateway = readVia(attribute); break;
      case RTA_PREFSRC: route.source = readIp(attribute, *family); break;
      case RTA_MULTIPATH: readNexthops(attribute, *family, route); break;
      default: break;
    }
  });
  return route;
}

std::optional<Rule> decodeRule(const NetlinkMessage& message) {
  const auto header = readHeader<fib_rule_hdr>(message.payload);
  const auto family = ipFamily(header.family);
  if (!family) return std::nullopt;
  Rule rule;
  rule.family = *family;
  rule.table = header.table;
  rule.tos = header.tos;
  rule.other = header.dst_len != 0 || (header.flags & FIB_RULE_INVERT) != 0 || header.action != FR_ACT_TO_TBL;
  eachAttribute(after(message.payload, sizeof header), [&](const Attribute& attribute) {
    switch (attribute.type) {
      case FRA_PRIORITY: rule.priority = attribute.integer<uint32_t>(); break;
      case FRA_TABLE: rule.table = attribute.integer<uint32_t>(); break;
      case FRA_FWMARK: rule.fwmark = attribute.integer<uint32_t>(); break;
      case FRA_FWMASK: rule.fwmask = attribute.integer<uint32_t>(); break;
      case FRA_IP_PROTO: rule.ipProtocol = attribute.integer<uint8_t>(); break;
      case FRA_PROTOCOL: rule.protocol = attribute.integer<uint8_t>(); break;
      case FRA_SRC:
        rule.source = IpPrefix{readIp(attribute, *family), readLength(header.src_len, *family)};
        break;
      // -1, for none, is always said.
      case FRA_SUPPRESS_PREFIXLEN:
      case FRA_SUPPRESS_IFGROUP: rule.other = rule.other || attribute.integer<int32_t>() != -1; break;
      case FRA_UNSPEC:
      case FRA_PAD: break;
      // Devices, ports, users, tunnels, and what kernels may yet learn: said only where it counts.
      default: rule.other = true;
    }
  });
  return rule;
}

}  // namespace corax
