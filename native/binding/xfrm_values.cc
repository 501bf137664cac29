#include "binding/xfrm_values.h"

#include "binding/arguments.h"
#include "binding/values.h"

namespace corax {
namespace {

constexpr size_t maxDeletions = 1u << 20;

Napi::Value number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

// Absent: none, as nearly everywhere.
XfrmMark readMark(const Napi::Object& object, const std::string& name) {
  const auto part = [&](const char* field) {
    const auto read = [&](const Napi::Value& it) { return args::integer(it, name + "." + field, 0, UINT32_MAX); };
    return args::optional(object.Get(field), read).value_or(0);
  };
  return {part("mark"), part("markMask")};
}

XfrmStateId readState(const Napi::Object& object, const std::string& name) {
  XfrmStateId id;
  id.destination = args::ip(object.Get("destination"), name + ".destination");
  id.spi = args::integer(object.Get("spi"), name + ".spi", 1, UINT32_MAX);
  id.protocol = static_cast<uint8_t>(args::integer(object.Get("protocol"), name + ".protocol", 1, 255));
  id.mark = readMark(object, name);
  return id;
}

XfrmPolicyId readPolicy(const Napi::Object& object, const std::string& name) {
  XfrmPolicyId id;
  id.direction = static_cast<uint8_t>(args::integer(object.Get("direction"), name + ".direction", 0, 2));
  id.index = args::integer(object.Get("index"), name + ".index", 1, UINT32_MAX);
  id.ifId = args::integer(object.Get("ifId"), name + ".ifId", 0, UINT32_MAX);
  id.mark = readMark(object, name);
  return id;
}

template <typename Read>
void readList(const Napi::Value& list, const std::string& name, std::vector<XfrmDeletion>& into, Read&& read) {
  if (list.IsUndefined()) return;
  const Napi::Array array = args::array(list, name, maxDeletions);
  const uint32_t count = array.Length();
  into.reserve(into.size() + count);
  for (uint32_t index = 0; index < count; index++) {
    const Napi::HandleScope scope(list.Env());
    const std::string item = name + "[" + std::to_string(index) + "]";
    into.push_back(read(args::object(array.Get(index), item), item));
  }
}

// Takes what the object shares with XfrmDelta.
Napi::Object statesObject(Napi::Env env, XfrmStates&& states) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("count", number(env, static_cast<double>(states.count())));
  object.Set("sources", values::column(env, std::move(states.sources)));
  object.Set("destinations", values::column(env, std::move(states.destinations)));
  object.Set("spis", values::column(env, std::move(states.spis)));
  object.Set("reqids", values::column(env, std::move(states.reqids)));
  object.Set("ifIds", values::column(env, std::move(states.ifIds)));
  object.Set("marks", values::column(env, std::move(states.marks)));
  object.Set("markMasks", values::column(env, std::move(states.markMasks)));
  object.Set("protocols", values::column(env, std::move(states.protocols)));
  object.Set("modes", values::column(env, std::move(states.modes)));
  object.Set("encapSourcePorts", values::column(env, std::move(states.encapSourcePorts)));
  object.Set("encapDestinationPorts", values::column(env, std::move(states.encapDestinationPorts)));
  object.Set("bytes", values::column(env, std::move(states.bytes)));
  object.Set("packets", values::column(env, std::move(states.packets)));
  object.Set("addedAt", values::column(env, std::move(states.addedAt)));
  object.Set("usedAt", values::column(env, std::move(states.usedAt)));
  object.Set("lastUsedAt", values::column(env, std::move(states.lastUsedAt)));
  return object;
}

}  // namespace

std::vector<XfrmDeletion> readXfrmDeletions(const Napi::Value& value) {
  const Napi::Object object = args::object(value, "what");
  std::vector<XfrmDeletion> deletions;
  readList(object.Get("states"), "what.states", deletions, readState);
  readList(object.Get("policies"), "what.policies", deletions, readPolicy);
  return deletions;
}

Napi::Value toValue(Napi::Env env, XfrmStates&& states) { return statesObject(env, std::move(states)); }

Napi::Value toValue(Napi::Env env, XfrmDelta&& delta) {
  const Napi::Object object = statesObject(env, std::move(delta.states));
  object.Set("changes", values::column(env, std::move(delta.changes)));
  object.Set("total", number(env, static_cast<double>(delta.total)));
  return object;
}

Napi::Value toValue(Napi::Env env, XfrmPolicies&& policies) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("count", number(env, static_cast<double>(policies.count())));
  object.Set("sources", values::column(env, std::move(policies.sources)));
  object.Set("destinations", values::column(env, std::move(policies.destinations)));
  object.Set("directions", values::column(env, std::move(policies.directions)));
  object.Set("actions", values::column(env, std::move(policies.actions)));
  object.Set("indexes", values::column(env, std::move(policies.indexes)));
  object.Set("priorities", values::column(env, std::move(policies.priorities)));
  object.Set("ifIds", values::column(env, std::move(policies.ifIds)));
  object.Set("marks", values::column(env, std::move(policies.marks)));
  object.Set("markMasks", values::column(env, std::move(policies.markMasks)));
  object.Set("templateProtocols", values::column(env, std::move(policies.templateProtocols)));
  object.Set("templateReqids", values::column(env, std::move(policies.templateReqids)));
  object.Set("templateSources", values::column(env, std::move(policies.templateSources)));
  object.Set("templateDestinations", values::column(env, std::move(policies.templateDestinations)));
  return object;
}

Napi::Value toValue(Napi::Env env, const XfrmEvent& event) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("type", "xfrm");
  object.Set("reqid", number(env, event.reqid));
  object.Set("destination", event.destination.text());
  switch (event.kind) {
    case XfrmEvent::Kind::mapping:
      object.Set("event", "mapping");
      object.Set("spi", number(env, event.spi));
      object.Set("address", event.source.text());
      object.Set("port", number(env, event.port));
      break;
    case XfrmEvent::Kind::expire:
      object.Set("event", "expire");
      object.Set("spi", number(env, event.spi));
      object.Set("ifId", number(env, event.ifId));
      object.Set("source", event.source.text());
      object.Set("hard", event.hard);
      break;
    case XfrmEvent::Kind::acquire:
      object.Set("event", "acquire");
      object.Set("ifId", number(env, event.ifId));
      object.Set("source", event.source.text());
      break;
  }
  return object;
}

}  // namespace corax
