#include "binding/values.h"

namespace corax::values {

Napi::Value error(Napi::Env env, const Failure& failure) {
  const Napi::Object object = Napi::Error::New(env, failure.what()).Value();
  object.Set("code", failureCodeName(failure.code()));
  object.Set("errno", failure.number());
  object.Set("errnoName", errnoName(failure.number()));
  object.Set("extAck", textOrNull(env, failure.extAck()));
  return object;
}

Napi::Value errorOrNull(Napi::Env env, const std::optional<Failure>& failure) {
  return failure ? error(env, *failure) : env.Null();
}

Napi::Value errors(Napi::Env env, const std::vector<std::optional<Failure>>& failures) {
  const Napi::Array array = Napi::Array::New(env, failures.size());
  for (size_t index = 0; index < failures.size(); index++) {
    array.Set(static_cast<uint32_t>(index), errorOrNull(env, failures[index]));
  }
  return array;
}

}  // namespace corax::values
