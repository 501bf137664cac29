// Values for JavaScript.
#pragma once

#include <napi.h>

#include <optional>
#include <string>
#include <vector>

#include "core/failure.h"
#include "core/ip.h"
#include "core/wireguard/column.h"

namespace corax::values {

// NativeError of src/native/events.ts.
Napi::Value error(Napi::Env env, const Failure& failure);
// null where there is none.
Napi::Value errorOrNull(Napi::Env env, const std::optional<Failure>& failure);
Napi::Value errors(Napi::Env env, const std::vector<std::optional<Failure>>& failures);

inline Napi::Value textOrNull(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::String::New(env, text).As<Napi::Value>();
}
inline Napi::Value ipOrNull(Napi::Env env, const std::optional<Ip>& ip) {
  return textOrNull(env, ip ? ip->text() : "");
}

// A typed array over the memory of a vector or column, which lives as long as the array does.
template <typename T, typename Held>
Napi::Value column(Napi::Env env, Held&& held) {
  if (held.empty()) return Napi::TypedArrayOf<T>::New(env, 0);
  auto* owner = new Held(std::move(held));
  const size_t count = owner->size();
  const auto release = [](napi_env, void*, Held* released) { delete released; };
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, owner->data(), count * sizeof(T), release, owner);
  return Napi::TypedArrayOf<T>::New(env, count, buffer, 0);
}
template <typename T>
Napi::Value column(Napi::Env env, std::vector<T>&& vector) {
  return column<T, std::vector<T>>(env, std::move(vector));
}
template <typename T>
Napi::Value column(Napi::Env env, Column<T>&& values) {
  return column<T, Column<T>>(env, std::move(values));
}

}  // namespace corax::values
