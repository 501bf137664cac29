// The Pluto class of src/native/pluto.ts.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>

#include "binding/channel.h"
#include "core/pluto/client.h"

namespace corax {

class PlutoObject final : public Napi::ObjectWrap<PlutoObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit PlutoObject(const Napi::CallbackInfo& info);
  ~PlutoObject() override;

 private:
  using Info = Napi::CallbackInfo;

  Napi::Value version(const Info& info);
  Napi::Value send(const Info& info);
  void close(const Info& info);

  Napi::Value submit(Napi::Env env, PlutoMessage&& message, bool asksVersion);
  void settle(Napi::Env env);
  void settleOne(Napi::Env env, PlutoTask& task);
  // Ends the native thread. Without JavaScript: nothing is settled.
  void shutDown();
  static void atExit(void* self);

  std::unordered_map<uint64_t, Napi::Promise::Deferred> pending_;
  uint64_t nextId_ = 1;
  bool hooked_ = false;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<PlutoClient> client_;
};

}  // namespace corax
