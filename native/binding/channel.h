// The way from the native thread to the event loop: one threadsafe function, which keeps the loop alive only
// while somebody waits.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

namespace corax {

class Channel {
 public:
  // deliver is called on the event loop after each knock().
  Channel(Napi::Env env, std::function<void(Napi::Env)> deliver);
  ~Channel() { close(); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // From the native thread.
  void knock();
  // From the event loop. hold() keeps the loop alive until release().
  void hold();
  void release();
  // Nothing is delivered after this; the native thread must have ended. Idempotent.
  void close();

 private:
  struct State {
    std::function<void(Napi::Env)> deliver;
    // Told apart from deliver, because deliver() may be what closes the channel.
    bool open;
  };
  static void call(napi_env env, napi_value, void* context, void*);

  napi_env env_;
  napi_threadsafe_function function_ = nullptr;
  // Belongs to the threadsafe function, which may outlive this object by a turn of the loop.
  State* state_;
};

}  // namespace corax
