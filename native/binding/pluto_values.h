// Commands for pluto and its replies, from and to JavaScript.
#pragma once

#include <napi.h>

#include "core/pluto/client.h"

namespace corax {

// The layout of the version that the argument names.
const WhackLayout& readWhackLayout(const Napi::Value& value);
PlutoCommand readPlutoCommand(const Napi::Value& value);
std::chrono::milliseconds readPlutoTimeout(const Napi::Value& options);

// All versions that there are layouts for.
Napi::Value plutoLayouts(const Napi::CallbackInfo& info);

Napi::Value toValue(Napi::Env env, const PlutoReply& reply);
Napi::Value toValue(Napi::Env env, const PlutoVersion& version);

}  // namespace corax
