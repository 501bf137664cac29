#include <napi.h>

#include "binding/engine_object.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", corax::EngineObject::define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(corax, initialize)
