// pluto's control socket on a thread of its own: pluto may take seconds to answer. One command at a time, in the order
// in which they were asked for.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/failure.h"
#include "core/fd.h"
#include "core/pluto/exchange.h"
#include "core/pluto/message.h"
#include "core/pluto/reply.h"

namespace corax {

struct PlutoTask {
  uint64_t id = 0;
  PlutoMessage message;
  // Whether the reply is a status, of which only the version is wanted.
  bool asksVersion = false;

  // Void where there is an error.
  PlutoReply reply;
  PlutoVersion version;
  std::optional<Failure> error;
};

class PlutoClient {
 public:
  // As for the engine: who waits for answers never has as many.
  static constexpr size_t maxTasks = 1024;

  // notify is called on the thread when there is something to take(); once until it is taken.
  PlutoClient(std::string path, std::chrono::milliseconds timeout, std::function<void()> notify);
  ~PlutoClient() { stop(); }
  PlutoClient(const PlutoClient&) = delete;
  PlutoClient& operator=(const PlutoClient&) = delete;

  // Nothing, or why the task was not queued (CORAX_QUEUE_FULL, CORAX_CLOSED).
  std::optional<Failure> submit(std::unique_ptr<PlutoTask> task);
  std::vector<std::unique_ptr<PlutoTask>> take();
  // Ends and joins the thread, in mid-read too; what was pending is there to take() with CORAX_CLOSED. Idempotent.
  void stop();

 private:
  void run();
  void work(PlutoTask& task);

  const std::string path_;
  const std::chrono::milliseconds timeout_;
  const std::function<void()> notify_;
  // Readable once stop() was called.
  const Fd stop_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<std::unique_ptr<PlutoTask>> queue_;
  std::vector<std::unique_ptr<PlutoTask>> done_;
  bool closed_ = false;
  bool notified_ = false;

  std::thread thread_;
};

}  // namespace corax
