// Links, addresses, routes and rules, and what can be done to them (src/native/network.ts says what each means).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/ip.h"
#include "core/mac.h"

namespace corax {

// RTPROT of every route and rule of ours (ROUTE_PROTOCOL in src/native/network.ts).
constexpr uint8_t routeProtocol = 0xcc;

// Of a VXLAN device (RFC 7348).
struct Vxlan {
  uint32_t vni = 0;
  uint16_t port = 0;
  bool learning = false;
};

struct Link {
  uint32_t index = 0;
  std::string name;
  // IFLA_INFO_KIND, "" for a physical device.
  std::string kind;
  // IFLA_XFRM_IF_ID, 0 where it has none.
  uint32_t ifId = 0;
  std::optional<Vxlan> vxlan;
  std::optional<Mac> mac;
  uint32_t mtu = 0;
  bool up = false;
  bool running = false;
};

struct Address {
  uint32_t ifindex = 0;
  IpPrefix prefix;
  uint8_t scope = 0;
};

struct Route {
  uint32_t table = 0;
  IpPrefix destination;
  uint8_t type = 0;
  uint32_t metric = 0;
  std::optional<uint32_t> oif;
  std::optional<Ip> gateway;
  std::optional<Ip> source;
  uint8_t protocol = 0;
};

struct Rule {
  uint32_t priority = 0;
  uint8_t family = 4;
  uint32_t table = 0;
  std::optional<IpPrefix> source;
  uint8_t tos = 0;
  uint32_t fwmark = 0;
  uint32_t fwmask = 0;
  // IPPROTO_*; 0 = any.
  uint8_t ipProtocol = 0;
  uint8_t protocol = 0;
  // It has selectors, or does something, of which the rest says nothing.
  bool other = false;
};

struct LinkCreate {
  std::string name;
  std::string kind;
  // For kind "xfrm": which policies and SAs are its own, and the device below it, "" for none.
  uint32_t ifId = 0;
  std::string link = {};
  // For kind "vxlan"; the MAC is its own.
  std::optional<Vxlan> vxlan = std::nullopt;
  std::optional<Mac> mac = std::nullopt;
};

struct LinkDelete {
  std::string name;
};

struct LinkSet {
  std::string name;
  std::optional<uint32_t> mtu;
  std::optional<bool> up;
  std::optional<uint8_t> rpFilter;
  std::optional<bool> forwarding;
};

struct AddressChange {
  bool remove = false;
  std::string device;
  IpPrefix prefix;
  // RT_SCOPE_*
  uint8_t scope = 0;
};

// An entry of a device's FDB (bridge: behind which host a MAC is), or its ARP (who has an address).
struct Neighbour {
  uint32_t ifindex = 0;
  bool bridge = false;
  bool permanent = false;
  Mac mac;
  Ip ip;
};

struct NeighbourChange {
  bool remove = false;
  bool bridge = false;
  std::string device;
  Mac mac;
  Ip ip;
};

struct RouteChange {
  bool remove = false;
  uint32_t table = 0;
  IpPrefix destination;
  std::optional<uint32_t> metric;
  // "" where none is given.
  std::string device;
  std::optional<Ip> source;
  // On the device's link, whatever the device's addresses are (onlink).
  std::optional<Ip> gateway;
  // Absent on a removal: any type.
  std::optional<bool> unreachable;
};

struct RuleChange {
  bool remove = false;
  Rule rule;
};

using NetworkOp = std::variant<LinkCreate, LinkDelete, LinkSet, AddressChange, NeighbourChange, RouteChange, RuleChange>;

}  // namespace corax
