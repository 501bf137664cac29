#include "binding/pluto_values.h"

#include "binding/arguments.h"

namespace corax {
namespace {

constexpr uint32_t defaultTimeoutMs = 15'000, maxTimeoutMs = 600'000;
// A device name has 15 bytes, "ipsec" takes five of them.
constexpr uint32_t maxIfId = INT32_MAX;

// The fields of one object: "command.add.reqid must be …". Each is read once: a getter may say something else the next time.
class Fields {
 public:
  Fields(const Napi::Value& value, std::string name) : object_(args::object(value, name)), name_(std::move(name)) {}

  Napi::Value get(const char* field) const { return object_.Get(field); }
  std::string name(const char* field) const { return name_ + "." + field; }

  PlutoText text(const char* field) const { return text(get(field), field); }
  std::optional<PlutoText> textOrNull(const char* field) const {
    const Napi::Value value = get(field);
    return value.IsNull() ? std::nullopt : std::optional(text(value, field));
  }
  uint32_t integer(const char* field, uint32_t min, uint32_t max) const {
    return args::integer(get(field), name(field), min, max);
  }
  std::optional<uint32_t> integerOrNull(const char* field, uint32_t min, uint32_t max) const {
    const Napi::Value value = get(field);
    return value.IsNull() ? std::nullopt : std::optional(args::integer(value, name(field), min, max));
  }
  bool isSecond(const char* field, const std::string& first, const std::string& second) const {
    const Napi::Value value = get(field);
    const std::string word = value.IsString() ? args::text(value, name(field), 64) : "";
    if (word != first && word != second) args::refuse(value.Env(), name(field), "'" + first + "' or '" + second + "'");
    return word == second;
  }
  bool flag(const char* field) const {
    return args::optional(get(field), [&](const Napi::Value& it) { return args::boolean(it, name(field)); }).value_or(false);
  }

 private:
  PlutoText text(const Napi::Value& value, const char* field) const {
    auto result = value.IsString() ? PlutoText::from(args::text(value, name(field), 4096)) : std::nullopt;
    if (!result) args::refuse(value.Env(), name(field), PlutoText::rule);
    return *result;
  }

  Napi::Object object_;
  std::string name_;
};

PlutoEnd readEnd(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  const Napi::Value host = fields.get("host");
  return {fields.text("id"), host.IsNull() ? std::nullopt : std::optional(args::ip(host, fields.name("host"))),
          static_cast<uint16_t>(fields.integerOrNull("ikePort", 1, UINT16_MAX).value_or(0)),
          args::prefix(fields.get("client"), fields.name("client"))};
}

PlutoConnection readConnection(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  PlutoConnection connection{readEnd(fields.get("local"), fields.name("local")),
                             readEnd(fields.get("remote"), fields.name("remote"))};
  connection.dpdDelayS = fields.integer("dpdDelayS", 1, 3600);
  connection.restarts = fields.isSecond("dpdAction", "clear", "restart");
  connection.retransmitTimeoutS = fields.integer("retransmitTimeoutS", 1, 3600);
  connection.retransmitIntervalMs = fields.integer("retransmitIntervalMs", 1, 60'000);
  connection.ifId = fields.integerOrNull("ifId", 1, maxIfId);
  connection.reqid = fields.integer("reqid", 1, 16'383);
  connection.ike = fields.textOrNull("ike");
  connection.esp = fields.textOrNull("esp");
  return connection;
}

PlutoCommand readConnectionCommand(const Fields& fields, Napi::Env env) {
  PlutoConnectionCommand command{fields.text("name")};
  command.remove = fields.flag("delete");
  command.add = args::optional(fields.get("add"), [&](const Napi::Value& it) { return readConnection(it, fields.name("add")); });
  command.route = fields.flag("route");
  command.unroute = fields.flag("unroute");
  command.initiate = fields.flag("initiate");
  command.terminate = fields.flag("terminate");
  if (const char* problem = command.problem()) throw Napi::TypeError::New(env, std::string("command: ") + problem);
  return command;
}

}  // namespace

const WhackLayout& readWhackLayout(const Napi::Value& value) {
  const WhackLayout* layout = value.IsString() ? whackLayoutOf(args::text(value, "layout", 4096)) : nullptr;
  if (layout == nullptr) args::refuse(value.Env(), "layout", "a version of pluto that plutoLayouts() lists");
  return *layout;
}

PlutoCommand readPlutoCommand(const Napi::Value& value) {
  const Fields fields(value, "command");
  const std::string op = args::text(fields.get("op"), "command.op", 64);
  if (op == "connection") return readConnectionCommand(fields, value.Env());
  if (op == "listen") return PlutoOp::listen;
  if (op == "rereadsecrets") return PlutoOp::rereadSecrets;
  if (op == "status") return PlutoOp::status;
  if (op == "showstates") return PlutoOp::showStates;
  if (op == "trafficstatus") return PlutoOp::trafficStatus;
  if (op == "shutdown") return PlutoOp::shutdown;
  args::refuse(value.Env(), "command.op",
               "'connection', 'listen', 'rereadsecrets', 'status', 'showstates', 'trafficstatus' or 'shutdown'");
}

std::chrono::milliseconds readPlutoTimeout(const Napi::Value& options) {
  const auto given = args::optional(options, [](const Napi::Value& it) {
    return args::optional(args::object(it, "options").Get("timeoutMs"), [](const Napi::Value& timeout) {
      return args::integer(timeout, "options.timeoutMs", 1, maxTimeoutMs);
    });
  });
  return std::chrono::milliseconds(given.value_or(std::nullopt).value_or(defaultTimeoutMs));
}

Napi::Value plutoLayouts(const Napi::CallbackInfo& info) {
  const Napi::Array array = Napi::Array::New(info.Env());
  for (const WhackLayout& layout : whackLayouts()) {
    for (const std::string& version : layout.versions) array.Set(array.Length(), Napi::String::New(info.Env(), version));
  }
  return array;
}

Napi::Value toValue(Napi::Env env, const PlutoReply& reply) {
  const Napi::Array lines = Napi::Array::New(env, reply.count());
  for (size_t index = 0; index < reply.count(); index++) {
    const Napi::HandleScope scope(env);
    const PlutoReply::Line line = reply.line(index);
    const Napi::Object object = Napi::Object::New(env);
    object.Set("code", Napi::Number::New(env, line.code));
    object.Set("text", Napi::String::New(env, line.text.data(), line.text.size()));
    lines.Set(static_cast<uint32_t>(index), object);
  }
  const Napi::Object object = Napi::Object::New(env);
  object.Set("lines", lines);
  return object;
}

Napi::Value toValue(Napi::Env env, const PlutoVersion& version) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("version", version.version);
  object.Set("vendor", version.vendor);
  return object;
}

}  // namespace corax
