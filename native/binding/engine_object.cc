#include "binding/engine_object.h"

#include "binding/probe_values.h"
#include "binding/values.h"

namespace corax {

EngineObject::EngineObject(const Info& info) : Napi::ObjectWrap<EngineObject>(info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) throw Napi::TypeError::New(env, "onEvents must be a function");
  // The object holds its listener and not a global reference, so that an engine that nobody holds any more is
  // collected even where its listener knows it.
  const Napi::Function listener = info[0].As<Napi::Function>();
  info.This().As<Napi::Object>().DefineProperty(
      Napi::PropertyDescriptor::Value(Napi::Symbol::New(env, "onEvents"), listener, napi_default));
  onEvents_ = Napi::Weak(listener);
  channel_ = std::make_unique<Channel>(env, [this](Napi::Env now) { deliver(now); });
  try {
    engine_ = std::make_unique<Engine>([channel = channel_.get()] { channel->knock(); });
  } catch (const Failure& failure) {
    throw Napi::Error(env, values::error(env, failure));
  }
  // After the channel's own hook, hence run before it.
  hooked_ = napi_add_env_cleanup_hook(env, atExit, this) == napi_ok;
}

EngineObject::~EngineObject() { shutDown(); }

void EngineObject::atExit(void* self) {
  auto* object = static_cast<EngineObject*>(self);
  object->hooked_ = false;
  object->shutDown();
}

void EngineObject::shutDown() {
  if (hooked_) (void)napi_remove_env_cleanup_hook(Env(), atExit, this);
  hooked_ = false;
  if (engine_) engine_->stop();
  if (channel_) channel_->close();
}

Napi::Value EngineObject::submit(Napi::Env env, std::unique_ptr<Job> job, Convert convert) {
  const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
  const uint64_t id = job->id = nextId_++;
  if (const std::optional<Failure> refused = engine_->submit(std::move(job))) {
    deferred.Reject(values::error(env, *refused));
    return deferred.Promise();
  }
  // The answer is taken on this thread, hence not before this.
  pending_.emplace(id, Pending{deferred, convert});
  if (pending_.size() == 1) {
    channel_->hold();
    Ref();
  }
  return deferred.Promise();
}

void EngineObject::deliver(Napi::Env env) {
  Engine::Results results = engine_->take();
  settle(env, std::move(results.jobs));
  // While the loop turns once more, the listener may be collected before its engine is finalized.
  if (results.events.empty() || onEvents_.Value().IsEmpty()) return;
  const Napi::Array events = Napi::Array::New(env, results.events.size());
  for (size_t index = 0; index < results.events.size(); index++) {
    const Napi::HandleScope scope(env);
    events.Set(static_cast<uint32_t>(index), toValue(env, std::move(results.events[index])));
  }
  onEvents_.Call({events});
}

void EngineObject::settle(Napi::Env env, std::vector<std::unique_ptr<Job>>&& jobs) {
  if (jobs.empty()) return;
  for (const std::unique_ptr<Job>& job : jobs) settleOne(env, *job);
  if (!pending_.empty()) return;
  channel_->release();
  Unref();
}

void EngineObject::settleOne(Napi::Env env, Job& job) {
  const Napi::HandleScope scope(env);
  const auto found = pending_.find(job.id);
  if (found == pending_.end()) return;
  const Pending pending = found->second;
  pending_.erase(found);
  if (job.error) {
    pending.deferred.Reject(values::error(env, *job.error));
    return;
  }
  try {
    pending.deferred.Resolve(pending.convert(env, job));
  } catch (const Napi::Error& error) {
    pending.deferred.Reject(error.Value());
  }
}

void EngineObject::close(const Info& info) {
  shutDown();
  settle(info.Env(), std::move(engine_->take().jobs));
}

}  // namespace corax
