// Links, addresses, routes, rules and the operations on them, to and from JavaScript.
#pragma once

#include <napi.h>

#include <vector>

#include "core/rtnl/route_columns.h"
#include "core/rtnl/types.h"

namespace corax {

std::vector<NetworkOp> readNetworkOps(const Napi::Value& value);

Napi::Value toValue(Napi::Env env, const Link& link);
Napi::Value toValue(Napi::Env env, const Address& address);
Napi::Value toValue(Napi::Env env, const Neighbour& neighbour);
Napi::Value toValue(Napi::Env env, const Route& route);
Napi::Value toValue(Napi::Env env, const Rule& rule);
// Takes the columns' memory along.
Napi::Value toValue(Napi::Env env, uint32_t table, RouteColumns&& columns);

template <typename T>
Napi::Value toArray(Napi::Env env, const std::vector<T>& items) {
  const Napi::Array array = Napi::Array::New(env, items.size());
  for (size_t index = 0; index < items.size(); index++) {
    const Napi::HandleScope scope(env);
    array.Set(static_cast<uint32_t>(index), toValue(env, items[index]));
  }
  return array;
}

}  // namespace corax
