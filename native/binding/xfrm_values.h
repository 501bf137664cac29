// Security associations and policies, and what is to be deleted of them, to and from JavaScript.
#pragma once

#include <napi.h>

#include <vector>

#include "core/event.h"
#include "core/xfrm/columns.h"
#include "core/xfrm/encode.h"

namespace corax {

// The states first, then the policies.
std::vector<XfrmDeletion> readXfrmDeletions(const Napi::Value& value);

// These take the columns' memory with them.
Napi::Value toValue(Napi::Env env, XfrmStates&& states);
Napi::Value toValue(Napi::Env env, XfrmDelta&& delta);
Napi::Value toValue(Napi::Env env, XfrmPolicies&& policies);

Napi::Value toValue(Napi::Env env, const XfrmEvent& event);

}  // namespace corax
