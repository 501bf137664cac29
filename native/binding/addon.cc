#include <napi.h>

#include "binding/engine_object.h"
#include "binding/pluto_object.h"
#include "binding/pluto_values.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", corax::EngineObject::define(env));
  exports.Set("Pluto", corax::PlutoObject::define(env));
  exports.Set("plutoLayouts", Napi::Function::New<corax::plutoLayouts>(env, "plutoLayouts"));
  return exports;
}

}  // namespace

NODE_API_MODULE(corax, initialize)
