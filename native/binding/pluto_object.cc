#include "binding/pluto_object.h"

#include <sys/un.h>

#include "binding/arguments.h"
#include "binding/pluto_values.h"
#include "binding/values.h"

namespace corax {
namespace {

std::string readSocketPath(const Napi::Value& value) {
  constexpr size_t max = sizeof(sockaddr_un::sun_path) - 1;
  std::string path = args::text(value, "socketPath", max);
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) {
    args::refuse(value.Env(), "socketPath", "an absolute path");
  }
  return path;
}

}  // namespace

PlutoObject::PlutoObject(const Info& info) : Napi::ObjectWrap<PlutoObject>(info) {
  const Napi::Env env = info.Env();
  std::string path = readSocketPath(info[0]);
  const std::chrono::milliseconds timeout = readPlutoTimeout(info[1]);
  channel_ = std::make_unique<Channel>(env, [this](Napi::Env now) { settle(now); });
  try {
    client_ = std::make_unique<PlutoClient>(std::move(path), timeout, [channel = channel_.get()] { channel->knock(); });
  } catch (const Failure& failure) {
    throw Napi::Error(env, values::error(env, failure));
  }
  // After the channel's own hook, hence run before it.
  hooked_ = napi_add_env_cleanup_hook(env, atExit, this) == napi_ok;
}

PlutoObject::~PlutoObject() { shutDown(); }

void PlutoObject::atExit(void* self) {
  auto* object = static_cast<PlutoObject*>(self);
  object->hooked_ = false;
  object->shutDown();
}

void PlutoObject::shutDown() {
  if (hooked_) (void)napi_remove_env_cleanup_hook(Env(), atExit, this);
  hooked_ = false;
  if (client_) client_->stop();
  if (channel_) channel_->close();
}

Napi::Value PlutoObject::version(const Info& info) { return submit(info.Env(), basicStatusMessage(), true); }

Napi::Value PlutoObject::send(const Info& info) {
  const WhackLayout& layout = readWhackLayout(info[0]);
  const PlutoCommand command = readPlutoCommand(info[1]);
  try {
    return submit(info.Env(), plutoMessage(layout, command), false);
  } catch (const Failure& failure) {
    throw Napi::TypeError::New(info.Env(), failure.what());
  }
}

void PlutoObject::close(const Info& info) {
  shutDown();
  settle(info.Env());
}

Napi::Value PlutoObject::submit(Napi::Env env, PlutoMessage&& message, bool asksVersion) {
  const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
  auto task = std::make_unique<PlutoTask>();
  const uint64_t id = task->id = nextId_++;
  task->message = std::move(message);
  task->asksVersion = asksVersion;
  if (const std::optional<Failure> refused = client_->submit(std::move(task))) {
    deferred.Reject(values::error(env, *refused));
    return deferred.Promise();
  }
  // The answer is taken on this thread, hence not before this.
  pending_.emplace(id, deferred);
  if (pending_.size() == 1) {
    channel_->hold();
    Ref();
  }
  return deferred.Promise();
}

void PlutoObject::settle(Napi::Env env) {
  const std::vector<std::unique_ptr<PlutoTask>> tasks = client_->take();
  if (tasks.empty()) return;
  for (const std::unique_ptr<PlutoTask>& task : tasks) settleOne(env, *task);
  if (!pending_.empty()) return;
  channel_->release();
  Unref();
}

void PlutoObject::settleOne(Napi::Env env, PlutoTask& task) {
  const Napi::HandleScope scope(env);
  const auto found = pending_.find(task.id);
  if (found == pending_.end()) return;
  const Napi::Promise::Deferred deferred = found->second;
  pending_.erase(found);
  if (task.error) {
    deferred.Reject(values::error(env, *task.error));
    return;
  }
  try {
    deferred.Resolve(task.asksVersion ? toValue(env, task.version) : toValue(env, task.reply));
  } catch (const Napi::Error& error) {
    deferred.Reject(error.Value());
  }
}

Napi::Function PlutoObject::define(Napi::Env env) {
  return DefineClass(env, "Pluto",
                     {
                         InstanceMethod<&PlutoObject::version>("version"),
                         InstanceMethod<&PlutoObject::send>("send"),
                         InstanceMethod<&PlutoObject::close>("close"),
                     });
}

}  // namespace corax
