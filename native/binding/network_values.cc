#include "binding/network_values.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "binding/arguments.h"
#include "binding/values.h"

namespace corax {
namespace {

constexpr size_t maxOps = 100'000;

// The fields of one operation: "ops[3].table must be …".
class Fields {
 public:
  Fields(const Napi::Object& object, std::string name) : object_(object), name_(std::move(name)) {}

  Napi::Value get(const char* field) const { return object_.Get(field); }
  std::string name(const char* field) const { return name_ + "." + field; }

  std::string text(const char* field) const { return args::text(get(field), name(field), 64); }
  std::string device(const char* field) const { return args::device(get(field), name(field)); }
  uint32_t integer(const char* field, uint32_t min, uint32_t max) const {
    return args::integer(get(field), name(field), min, max);
  }
  std::optional<uint32_t> optionalInteger(const char* field, uint32_t min, uint32_t max) const {
    return args::optional(get(field), [&](const Napi::Value& it) { return args::integer(it, name(field), min, max); });
  }
  std::optional<bool> optionalBoolean(const char* field) const {
    return args::optional(get(field), [&](const Napi::Value& it) { return args::boolean(it, name(field)); });
  }
  Mac mac(const char* field) const {
    const std::optional<Mac> mac = Mac::parse(text(field));
    if (!mac) refuse(field, "a MAC address");
    return *mac;
  }
  [[noreturn]] void refuse(const char* field, const std::string& expected) const {
    args::refuse(object_.Env(), name(field), expected);
  }

 private:
  Napi::Object object_;
  std::string name_;
};

LinkCreate readLinkCreate(const Fields& fields) {
  LinkCreate op;
  op.name = fields.device("name");
  op.kind = fields.text("kind");
  const std::array<std::string_view, 4> kinds{"wireguard", "dummy", "xfrm", "vxlan"};
  if (std::find(kinds.begin(), kinds.end(), op.kind) == kinds.end())
    fields.refuse("kind", "'wireguard', 'dummy', 'xfrm' or 'vxlan'");
  const Napi::Value link = fields.get("link");
  if (op.kind == "xfrm") {
    op.ifId = fields.integer("ifId", 1, UINT32_MAX);
    if (!link.IsUndefined()) op.link = args::device(link, fields.name("link"));
    return op;
  }
  if (op.kind == "vxlan") {
    Vxlan vxlan;
    vxlan.vni = fields.integer("vni", 0, (1u << 24) - 1);
    vxlan.port = static_cast<uint16_t>(fields.integer("port", 1, UINT16_MAX));
    op.vxlan = vxlan;
    op.mac = fields.mac("mac");
  }
  for (const char* field : {"ifId", "link"}) {
    if (!fields.get(field).IsUndefined()) fields.refuse(field, "absent with kind '" + op.kind + "'");
  }
  return op;
}

LinkSet readLinkSet(const Fields& fields) {
  LinkSet op;
  op.name = fields.device("name");
  // 68 is the least that IPv4 allows (RFC 791).
  op.mtu = fields.optionalInteger("mtu", 68, 65'535);
  op.up = fields.optionalBoolean("up");
  if (const auto filter = fields.optionalInteger("rpFilter", 0, 2)) op.rpFilter = static_cast<uint8_t>(*filter);
  op.forwarding = fields.optionalBoolean("forwarding");
  return op;
}

AddressChange readAddress(const Fields& fields, bool remove) {
  AddressChange op;
  op.remove = remove;
  op.device = fields.device("device");
  op.prefix.ip = args::ip(fields.get("address"), fields.name("address"));
  op.prefix.length = static_cast<uint8_t>(fields.integer("prefixLength", 0, op.prefix.ip.maxPrefix()));
  const Napi::Value scope = fields.get("scope");
  if (!scope.IsUndefined()) {
    if (args::text(scope, fields.name("scope"), 64) != "link") fields.refuse("scope", "'link'");
    op.scope = RT_SCOPE_LINK;
  }
  return op;
}

NeighbourChange readNeighbour(const Fields& fields, bool bridge, bool remove) {
  NeighbourChange op;
  op.remove = remove;
  op.bridge = bridge;
  op.device = fields.device("device");
  op.mac = fields.mac("mac");
  op.ip = args::ipv4(fields.get("address"), fields.name("address"));
  return op;
}

RouteChange readRoute(const Fields& fields, bool remove) {
  RouteChange op;
  op.remove = remove;
  op.table = fields.integer("table", 1, UINT32_MAX);
  op.destination = args::prefix(fields.get("destination"), fields.name("destination"));
  op.metric = fields.optionalInteger("metric", 0, UINT32_MAX);
  const Napi::Value type = fields.get("type");
  if (!type.IsUndefined()) {
    const std::string text = args::text(type, fields.name("type"), 64);
    if (text != "unicast" && text != "unreachable") fields.refuse("type", "'unicast' or 'unreachable'");
    op.unreachable = text == "unreachable";
  }
  const Napi::Value device = fields.get("device");
  if (!device.IsUndefined()) op.device = args::device(device, fields.name("device"));
  if (op.unreachable.value_or(false) && !op.device.empty()) fields.refuse("device", "absent with type 'unreachable'");
  if (!remove && !op.unreachable.value_or(false) && op.device.empty()) fields.refuse("device", "given");
  op.source = args::optional(fields.get("source"), [&](const Napi::Value& it) {
    const Ip source = args::ip(it, fields.name("source"));
    if (source.family != op.destination.ip.family) fields.refuse("source", "of the destination's family");
    return source;
  });
  op.gateway = args::optional(fields.get("gateway"), [&](const Napi::Value& it) {
    const Ip gateway = args::ip(it, fields.name("gateway"));
    if (gateway.family != op.destination.ip.family) fields.refuse("gateway", "of the destination's family");
    if (op.device.empty()) fields.refuse("gateway", "absent without a device");
    return gateway;
  });
  return op;
}

RuleChange readRule(const Fields& fields, bool remove) {
  RuleChange op;
  op.remove = remove;
  const uint32_t family = fields.integer("family", 4, 6);
  if (family == 5) fields.refuse("family", "4 or 6");
  op.rule.family = static_cast<uint8_t>(family);
  op.rule.priority = fields.integer("priority", 1, UINT32_MAX);
  op.rule.table = fields.integer("table", 1, UINT32_MAX);
  op.rule.tos = static_cast<uint8_t>(fields.optionalInteger("tos", 0, 255).value_or(0));
  op.rule.fwmark = fields.optionalInteger("fwmark", 0, UINT32_MAX).value_or(0);
  op.rule.ipProtocol = static_cast<uint8_t>(fields.optionalInteger("ipProtocol", 0, 255).value_or(0));
  op.rule.source = args::optional(fields.get("source"), [&](const Napi::Value& it) {
    // An address is the prefix that holds it alone.
    const std::string text = args::text(it, fields.name("source"), 64);
    const std::optional<Ip> ip = Ip::parse(text);
    const IpPrefix source = ip ? IpPrefix{*ip, ip->maxPrefix()} : args::prefix(it, fields.name("source"));
    if (source.ip.family != op.rule.family) fields.refuse("source", "of the rule's family");
    return source;
  });
  return op;
}

NetworkOp readOp(const Fields& fields) {
  const std::string op = fields.text("op");
  if (op == "link-create") return readLinkCreate(fields);
  if (op == "link-delete") return LinkDelete{fields.device("name")};
  if (op == "link-set") return readLinkSet(fields);
  if (op == "address-add" || op == "address-delete") return readAddress(fields, op == "address-delete");
  if (op == "fdb-replace" || op == "fdb-delete") return readNeighbour(fields, true, op == "fdb-delete");
  if (op == "neighbour-replace" || op == "neighbour-delete") return readNeighbour(fields, false, op == "neighbour-delete");
  if (op == "route-replace" || op == "route-delete") return readRoute(fields, op == "route-delete");
  if (op == "rule-add" || op == "rule-delete") return readRule(fields, op == "rule-delete");
  fields.refuse("op", "an operation of NetworkOp");
}

Napi::Value number(Napi::Env env, uint32_t value) { return Napi::Number::New(env, value); }

Napi::Value toValue(Napi::Env env, const Vxlan& vxlan) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("vni", number(env, vxlan.vni));
  object.Set("port", number(env, vxlan.port));
  object.Set("learning", vxlan.learning);
  return object;
}

}  // namespace

std::vector<NetworkOp> readNetworkOps(const Napi::Value& value) {
  const Napi::Array array = args::array(value, "ops", maxOps);
  std::vector<NetworkOp> ops;
  const uint32_t count = array.Length();
  ops.reserve(count);
  for (uint32_t index = 0; index < count; index++) {
    const Napi::HandleScope scope(value.Env());
    const std::string name = "ops[" + std::to_string(index) + "]";
    ops.push_back(readOp(Fields(args::object(array.Get(index), name), name)));
  }
  return ops;
}

Napi::Value toValue(Napi::Env env, const Link& link) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("index", number(env, link.index));
  object.Set("name", link.name);
  object.Set("kind", values::textOrNull(env, link.kind));
  object.Set("ifId", link.ifId != 0 ? number(env, link.ifId) : env.Null());
  object.Set("vxlan", link.vxlan ? toValue(env, *link.vxlan) : env.Null());
  object.Set("mac", values::textOrNull(env, link.mac ? link.mac->text() : ""));
  object.Set("mtu", number(env, link.mtu));
  object.Set("up", link.up);
  object.Set("running", link.running);
  return object;
}

Napi::Value toValue(Napi::Env env, const Address& address) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("ifindex", number(env, address.ifindex));
  object.Set("address", address.prefix.ip.text());
  object.Set("prefixLength", number(env, address.prefix.length));
  object.Set("scope", number(env, address.scope));
  return object;
}

Napi::Value toValue(Napi::Env env, const Neighbour& neighbour) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("kind", neighbour.bridge ? "fdb" : "arp");
  object.Set("mac", neighbour.mac.text());
  object.Set("address", neighbour.ip.text());
  object.Set("permanent", neighbour.permanent);
  return object;
}

Napi::Value toValue(Napi::Env env, const Route& route) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("table", number(env, route.table));
  object.Set("destination", route.destination.text());
  object.Set("type", number(env, route.type));
  object.Set("metric", number(env, route.metric));
  object.Set("oif", route.oif ? number(env, *route.oif) : env.Null());
  object.Set("gateway", values::ipOrNull(env, route.gateway));
  object.Set("source", values::ipOrNull(env, route.source));
  object.Set("protocol", number(env, route.protocol));
  return object;
}

Napi::Value toValue(Napi::Env env, uint32_t table, RouteColumns&& columns) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("table", number(env, table));
  object.Set("count", number(env, static_cast<uint32_t>(columns.count())));
  object.Set("destinations", values::column(env, std::move(columns.destinations)));
  object.Set("types", values::column(env, std::move(columns.types)));
  object.Set("protocols", values::column(env, std::move(columns.protocols)));
  object.Set("metrics", values::column(env, std::move(columns.metrics)));
  object.Set("oifs", values::column(env, std::move(columns.oifs)));
  object.Set("gateways", values::column(env, std::move(columns.gateways)));
  object.Set("sources", values::column(env, std::move(columns.sources)));
  return object;
}

Napi::Value toValue(Napi::Env env, const Rule& rule) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("priority", number(env, rule.priority));
  object.Set("family", number(env, rule.family));
  object.Set("table", number(env, rule.table));
  object.Set("source", values::textOrNull(env, rule.source ? rule.source->text() : ""));
  object.Set("tos", number(env, rule.tos));
  object.Set("fwmark", number(env, rule.fwmark));
  object.Set("fwmask", number(env, rule.fwmask));
  object.Set("protocol", number(env, rule.protocol));
  object.Set("ipProtocol", number(env, rule.ipProtocol));
  object.Set("other", rule.other);
  return object;
}

}  // namespace corax
