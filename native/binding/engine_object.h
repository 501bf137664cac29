// The Engine class of src/native.ts.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>

#include "binding/channel.h"
#include "core/engine.h"

namespace corax {

class EngineObject final : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit EngineObject(const Napi::CallbackInfo& info);
  ~EngineObject() override;

 private:
  using Info = Napi::CallbackInfo;
  // What a job that ended well resolves to.
  using Convert = Napi::Value (*)(Napi::Env env, Job& job);
  struct Pending {
    Napi::Promise::Deferred deferred;
    Convert convert;
  };

  Napi::Value network(const Info& info);
  Napi::Value links(const Info& info);
  Napi::Value addresses(const Info& info);
  Napi::Value neighbours(const Info& info);
  Napi::Value routes(const Info& info);
  Napi::Value rules(const Info& info);
  Napi::Value routeTo(const Info& info);
  Napi::Value watchNetwork(const Info& info);
  Napi::Value wgConfigure(const Info& info);
  Napi::Value wgApply(const Info& info);
  Napi::Value wgSnapshot(const Info& info);
  Napi::Value wgDelta(const Info& info);
  Napi::Value wgDestroy(const Info& info);
  Napi::Value xfrmSnapshot(const Info& info);
  Napi::Value xfrmDelta(const Info& info);
  Napi::Value xfrmPolicies(const Info& info);
  Napi::Value xfrmDelete(const Info& info);
  Napi::Value watchXfrm(const Info& info);
  Napi::Value nft(const Info& info);
  Napi::Value rawOpen(const Info& info);
  Napi::Value rawSend(const Info& info);
  Napi::Value stunTap(const Info& info);
  Napi::Value handshakeTap(const Info& info);
  Napi::Value rendezvousOpen(const Info& info);
  Napi::Value rendezvousSend(const Info& info);
  Napi::Value fanOpen(const Info& info);
  Napi::Value sprayStart(const Info& info);
  Napi::Value openingEnd(const Info& info);
  Napi::Value probeSet(const Info& info);
  Napi::Value probeRemove(const Info& info);
  Napi::Value probeSnapshot(const Info& info);
  Napi::Value stats(const Info& info);
  void close(const Info& info);

  Napi::Value submit(Napi::Env env, std::unique_ptr<Job> job, Convert convert);
  void deliver(Napi::Env env);
  void settle(Napi::Env env, std::vector<std::unique_ptr<Job>>&& jobs);
  void settleOne(Napi::Env env, Job& job);
  // Ends the native thread. Without JavaScript: nothing is settled.
  void shutDown();
  static void atExit(void* self);

  Napi::FunctionReference onEvents_;
  std::unordered_map<uint64_t, Pending> pending_;
  uint64_t nextId_ = 1;
  bool hooked_ = false;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace corax
