#include "binding/channel.h"

namespace corax {

Channel::Channel(Napi::Env env, std::function<void(Napi::Env)> deliver)
    : env_(env), state_(new State{std::move(deliver), true}) {
  const auto finalize = [](napi_env, void* state, void*) { delete static_cast<State*>(state); };
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "corax"), 0, 1, state_, finalize,
                                      state_, &Channel::call, &function_);
  if (status != napi_ok) {
    delete state_;
    throw Napi::Error::New(env, "the native thread's way back could not be made");
  }
  (void)napi_unref_threadsafe_function(env_, function_);
}

void Channel::knock() { (void)napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking); }

void Channel::hold() {
  if (function_ != nullptr) (void)napi_ref_threadsafe_function(env_, function_);
}

void Channel::release() {
  if (function_ != nullptr) (void)napi_unref_threadsafe_function(env_, function_);
}

void Channel::close() {
  if (function_ == nullptr) return;
  state_->open = false;
  (void)napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

void Channel::call(napi_env env, napi_value, void* context, void*) {
  auto* state = static_cast<State*>(context);
  // Without an environment the loop is gone.
  if (env == nullptr || !state->open) return;
  try {
    state->deliver(env);
  } catch (const Napi::Error& error) {
    // The listener threw: an uncaught exception of JavaScript's (Node only warns of one that is merely thrown
    // here, DEP0168). In a worker that is being terminated nothing can be said any more, nor need it be.
    try {
      (void)napi_fatal_exception(env, error.Value());
    } catch (const Napi::Error&) {
    }
  }
}

}  // namespace corax
