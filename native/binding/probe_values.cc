#include "binding/probe_values.h"

#include "binding/arguments.h"
#include "binding/values.h"
#include "binding/xfrm_values.h"
#include "core/icmp_prober.h"

namespace corax {
namespace {

constexpr size_t maxPackets = 4096;

in_addr address(const Napi::Value& value, const std::string& name) {
  in_addr result;
  std::memcpy(&result, args::ipv4(value, name).bytes.data(), sizeof result);
  return result;
}

std::string text(const in_addr& address) {
  return Ip::from({reinterpret_cast<const uint8_t*>(&address), sizeof address})->text();
}

Napi::Value number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

RawDatagram readPacket(const Napi::Object& packet, const std::string& name) {
  RawDatagram result{};
  result.sourcePort = args::port(packet.Get("sourcePort"), name + ".sourcePort");
  result.destination = address(packet.Get("address"), name + ".address");
  result.destinationPort = args::port(packet.Get("port"), name + ".port");
  result.ttl = static_cast<uint8_t>(args::integer(packet.Get("ttl"), name + ".ttl", 1, 255));
  result.payload = args::elements<uint8_t>(packet.Get("payload"), name + ".payload", 0, RawDatagram::maxPayload);
  return result;
}

ProbeTarget readTarget(const Napi::Object& target, const std::string& name) {
  const auto integer = [&](const char* field, uint32_t max) {
    return args::integer(target.Get(field), name + "." + field, 0, max);
  };
  ProbeTarget result{};
  result.id = integer("id", UINT32_MAX);
  result.source = address(target.Get("source"), name + ".source");
  result.destination = address(target.Get("destination"), name + ".destination");
  result.tos = static_cast<uint8_t>(integer("tos", 255));
  result.intervalMs = integer("intervalMs", UINT32_MAX);
  result.fastIntervalMs = integer("fastIntervalMs", UINT32_MAX);
  result.size = integer("size", UINT32_MAX);
  result.state = static_cast<uint8_t>(integer("state", 255));
  if (const char* problem = result.problem()) throw Napi::TypeError::New(target.Env(), name + ": " + problem);
  return result;
}

struct ToValue {
  Napi::Env env;

  Napi::Object object(const char* type) const {
    const Napi::Object result = Napi::Object::New(env);
    result.Set("type", type);
    return result;
  }
  Napi::Value operator()(NetworkEvent&&) const { return object("network"); }
  Napi::Value operator()(XfrmEvent&& event) const { return toValue(env, event); }
  Napi::Value operator()(OverrunEvent&&) const { return object("overrun"); }
  Napi::Value operator()(RawEvent&& event) const {
    const Napi::Object result = object("raw");
    result.Set("address", text(event.address));
    result.Set("port", number(env, event.port));
    result.Set("payload", values::column(env, std::move(event.payload)));
    return result;
  }
  Napi::Value operator()(ProbeEvent&& event) const {
    const Napi::Object result = object("probe");
    result.Set("id", number(env, event.id));
    result.Set("lostInRow", number(env, event.lostInRow));
    result.Set("answeredInRow", number(env, event.answeredInRow));
    result.Set("rttMs", event.rttMs ? number(env, *event.rttMs) : env.Null());
    return result;
  }
  Napi::Value operator()(RemoteStateEvent&& event) const {
    const Napi::Object result = object("remote-state");
    result.Set("address", text(event.address));
    result.Set("tos", number(env, event.tos));
    result.Set("state", number(env, event.state));
    return result;
  }
  Napi::Value operator()(HandshakeEvent&& event) const {
    const Napi::Object result = object("handshake");
    result.Set("address", text(event.address));
    result.Set("port", number(env, event.port));
    result.Set("rttMs", number(env, event.rttMs));
    return result;
  }
  Napi::Value operator()(AnsweredEvent&&) const { return object("answered"); }
  Napi::Value operator()(RendezvousEvent&& event) const {
    const Napi::Object result = object("rendezvous");
    result.Set("address", text(event.address));
    result.Set("payload", values::column(env, std::move(event.payload)));
    return result;
  }
  Napi::Value operator()(FanEvent&& event) const {
    const Napi::Object result = object("fan");
    result.Set("id", number(env, event.id));
    result.Set("localPort", number(env, event.localPort));
    result.Set("outsidePort", number(env, event.outsidePort));
    return result;
  }
  Napi::Value operator()(SprayEvent&& event) const {
    const Napi::Object result = object("spray");
    result.Set("id", number(env, event.id));
    result.Set("sent", number(env, event.sent));
    result.Set("failed", number(env, event.failed));
    return result;
  }
};

}  // namespace

std::vector<uint16_t> readPorts(const Napi::Value& value) {
  const Napi::Array ports = args::array(value, "options.ports", RawUdp::maxPorts);
  const uint32_t count = ports.Length();
  if (count == 0) args::refuse(value.Env(), "options.ports", "at least one port");
  std::vector<uint16_t> result;
  for (uint32_t index = 0; index < count; index++) {
    result.push_back(args::port(ports.Get(index), "options.ports[" + std::to_string(index) + "]"));
  }
  return result;
}

RawOptions readRawOptions(const Napi::Value& value) {
  const Napi::Object object = args::object(value, "options");
  return {readPorts(object.Get("ports")), args::integer(object.Get("fwmark"), "options.fwmark", 0, UINT32_MAX)};
}

TapOptions readTapOptions(const Napi::Value& value) {
  if (value.IsNull()) return {};
  const Napi::Object object = args::object(value, "options");
  return {args::device(object.Get("device"), "options.device"), readPorts(object.Get("ports"))};
}

std::vector<RawDatagram> readRawPackets(const Napi::Value& value) {
  const Napi::Array array = args::array(value, "packets", maxPackets);
  std::vector<RawDatagram> packets;
  const uint32_t count = array.Length();
  for (uint32_t index = 0; index < count; index++) {
    const std::string name = "packets[" + std::to_string(index) + "]";
    packets.push_back(readPacket(args::object(array.Get(index), name), name));
  }
  return packets;
}

std::vector<ProbeTarget> readProbeTargets(const Napi::Value& value) {
  const Napi::Array array = args::array(value, "targets", IcmpProber::maxTargets);
  std::vector<ProbeTarget> targets;
  const uint32_t count = array.Length();
  for (uint32_t index = 0; index < count; index++) {
    const Napi::HandleScope scope(value.Env());
    const std::string name = "targets[" + std::to_string(index) + "]";
    targets.push_back(readTarget(args::object(array.Get(index), name), name));
  }
  return targets;
}

std::vector<uint32_t> readProbeIds(const Napi::Value& value) {
  const Napi::Array array = args::array(value, "ids", IcmpProber::maxTargets);
  std::vector<uint32_t> ids;
  const uint32_t count = array.Length();
  for (uint32_t index = 0; index < count; index++) {
    ids.push_back(args::integer(array.Get(index), "ids[" + std::to_string(index) + "]", 0, UINT32_MAX));
  }
  return ids;
}

Napi::Value toValue(Napi::Env env, ProbeColumns&& columns) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("count", number(env, static_cast<double>(columns.count())));
  object.Set("ids", values::column(env, std::move(columns.ids)));
  object.Set("sent", values::column(env, std::move(columns.sent)));
  object.Set("received", values::column(env, std::move(columns.received)));
  object.Set("lost", values::column(env, std::move(columns.lost)));
  object.Set("late", values::column(env, std::move(columns.late)));
  object.Set("lastRttMs", values::column(env, std::move(columns.lastRttMs)));
  object.Set("smoothedRttMs", values::column(env, std::move(columns.smoothedRttMs)));
  object.Set("jitterMs", values::column(env, std::move(columns.jitterMs)));
  object.Set("lastReply", values::column(env, std::move(columns.lastReply)));
  object.Set("lostInRow", values::column(env, std::move(columns.lostInRow)));
  object.Set("answeredInRow", values::column(env, std::move(columns.answeredInRow)));
  object.Set("answeredSize", values::column(env, std::move(columns.answeredSize)));
  object.Set("loss", values::column(env, std::move(columns.loss)));
  return object;
}

Napi::Value toValue(Napi::Env env, Event&& event) { return std::visit(ToValue{env}, std::move(event)); }

}  // namespace corax
