// WireGuard's columns, to and from JavaScript.
#pragma once

#include <napi.h>

#include "core/wireguard/columns.h"
#include "core/wireguard/encode.h"

namespace corax {

void readWgSettings(const Napi::Value& value, WgSettings& settings);
PeerColumns readPeerColumns(const Napi::Value& value);

// Both take the columns' memory with them.
Napi::Value toValue(Napi::Env env, WgSnapshot&& snapshot);
Napi::Value toValue(Napi::Env env, WgDelta&& delta);

}  // namespace corax
