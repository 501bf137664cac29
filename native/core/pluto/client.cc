#include "core/pluto/client.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <csignal>

namespace corax {

PlutoClient::PlutoClient(std::string path, std::chrono::milliseconds timeout, std::function<void()> notify)
    : path_(std::move(path)), timeout_(timeout), notify_(std::move(notify)), stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!stop_) throw Failure::system(FailureCode::pluto, "native thread", errno);
  // Signals are Node's: the thread inherits a mask that blocks them all.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Failure::system(FailureCode::pluto, "native thread", EAGAIN);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_setname_np(thread_.native_handle(), "corax-pluto");
}

std::optional<Failure> PlutoClient::submit(std::unique_ptr<PlutoTask> task) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return Failure(FailureCode::closed, 0, "the pluto client is closed");
  if (queue_.size() >= maxTasks) {
    return Failure(FailureCode::queueFull, 0, std::to_string(maxTasks) + " commands for pluto are waiting already: wait for them");
  }
  queue_.push_back(std::move(task));
  changed_.notify_one();
  return std::nullopt;
}

std::vector<std::unique_ptr<PlutoTask>> PlutoClient::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  notified_ = false;
  return std::exchange(done_, {});
}

void PlutoClient::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_one();
  }
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto& task : queue_) {
    task->error = Failure(FailureCode::closed, 0, "the pluto client was closed");
    done_.push_back(std::move(task));
  }
  queue_.clear();
}

void PlutoClient::run() {
  for (;;) {
    std::unique_ptr<PlutoTask> task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
      if (closed_) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      work(*task);
    } catch (const Failure& failure) {
      task->error = failure;
    } catch (const std::exception& error) {
      task->error = Failure(FailureCode::pluto, 0, error.what());
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      done_.push_back(std::move(task));
      if (std::exchange(notified_, true)) continue;
    }
    notify_();
  }
}

void PlutoClient::work(PlutoTask& task) {
  const std::vector<uint8_t>& bytes = task.message.bytes;
  std::string answer = exchange({path_, timeout_, PlutoReply::maxBytes, stop_.get()}, {bytes.data(), bytes.size()});
  if (answer.empty() && task.message.alwaysAnswered) {
    throw Failure(FailureCode::pluto, EBADMSG,
                  "pluto at " + path_ + " closed the connection without a word: it has probably aborted, its log says why");
  }
  task.reply = PlutoReply::parse(std::move(answer));
  if (!task.asksVersion) return;
  task.version = PlutoVersion::in(task.reply);
  task.reply = {};
}

}  // namespace corax
