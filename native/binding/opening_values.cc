#include "binding/opening_values.h"

#include "binding/arguments.h"
#include "core/wire.h"

namespace corax {
namespace {

constexpr size_t maxMessages = 256;

in_addr address(const Napi::Value& value, const std::string& name) {
  in_addr result;
  std::memcpy(&result, args::ipv4(value, name).bytes.data(), sizeof result);
  return result;
}

uint64_t token(const Napi::Object& options) {
  return get64(args::elements<uint8_t>(options.Get("token"), "options.token", 8, 8).data());
}

}  // namespace

std::optional<RendezvousPlace> readRendezvousPlace(const Napi::Value& value) {
  if (value.IsNull()) return std::nullopt;
  const Napi::Object object = args::object(value, "options");
  RendezvousPlace place;
  place.device = args::device(object.Get("device"), "options.device");
  place.address = address(object.Get("address"), "options.address");
  place.port = args::port(object.Get("port"), "options.port");
  return place;
}

std::vector<RendezvousMessage> readRendezvousMessages(const Napi::Value& value) {
  const Napi::Array array = args::array(value, "messages", maxMessages);
  std::vector<RendezvousMessage> messages;
  const uint32_t count = array.Length();
  for (uint32_t index = 0; index < count; index++) {
    const std::string name = "messages[" + std::to_string(index) + "]";
    const Napi::Object message = args::object(array.Get(index), name);
    RendezvousMessage read;
    read.destination = address(message.Get("address"), name + ".address");
    read.payload =
        args::elements<uint8_t>(message.Get("payload"), name + ".payload", 1, RendezvousSocket::maxPayload);
    messages.push_back(std::move(read));
  }
  return messages;
}

FanOptions readFanOptions(const Napi::Value& value) {
  const Napi::Object object = args::object(value, "options");
  const auto integer = [&](const char* field, uint32_t min, uint32_t max) {
    return args::integer(object.Get(field), std::string("options.") + field, min, max);
  };
  FanOptions options{};
  options.id = integer("id", 0, UINT32_MAX);
  options.destination = address(object.Get("address"), "options.address");
  options.destinationPort = args::port(object.Get("port"), "options.port");
  options.sockets = integer("sockets", 1, PortFan::maxSockets);
  options.ttl = static_cast<uint8_t>(integer("ttl", 1, 255));
  options.mark = integer("fwmark", 0, UINT32_MAX);
  options.token = token(object);
  options.lifeMs = integer("lifeMs", 1, PortFan::maxLifeMs);
  return options;
}

SprayOptions readSprayOptions(const Napi::Value& value) {
  const Napi::Object object = args::object(value, "options");
  const auto port = [&](const char* field) {
    return args::port(object.Get(field), std::string("options.") + field);
  };
  SprayOptions options{};
  options.id = args::integer(object.Get("id"), "options.id", 0, UINT32_MAX);
  options.sourcePort = port("sourcePort");
  options.destination = address(object.Get("address"), "options.address");
  options.first = port("first");
  options.last = port("last");
  if (options.first > options.last) args::refuse(value.Env(), "options.last", "no less than options.first");
  options.count = args::integer(object.Get("count"), "options.count", 1, PortSpray::maxProbes);
  options.token = token(object);
  return options;
}

}  // namespace corax
