#include "core/engine.h"

#include "core/icmp_prober.h"

namespace corax {

Engine::Engine(std::function<void()> notify, Kernel::Sockets sockets)
    : notify_(std::move(notify)),
      reactor_({[this] { return work(); }, [this](EventSource& source) { lose(source); }, [this] { flush(); }}),
      kernel_(std::make_unique<Kernel>(reactor_, counters_, [this](Event&& event) { return report(std::move(event)); },
                                       std::move(sockets))) {
  reactor_.start();
}

std::optional<Failure> Engine::submit(std::unique_ptr<Job> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return Failure(FailureCode::closed, 0, "the engine is closed");
    if (queue_.size() >= maxJobs) {
      return Failure(FailureCode::queueFull, 0, std::to_string(maxJobs) + " operations are waiting already: wait for them");
    }
    queue_.push_back(std::move(job));
  }
  reactor_.wake();
  return std::nullopt;
}

Engine::Results Engine::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  notified_ = false;
  overrun_ = false;
  rawEvents_ = 0;
  return std::exchange(results_, {});
}

size_t Engine::queueLength() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return queue_.size() + (working_ ? 1 : 0);
}

void Engine::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  reactor_.stop();
  kernel_.reset();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (current_) queue_.push_front(std::move(current_));
  working_ = false;
  for (auto& job : queue_) {
    job->error = Failure(FailureCode::closed, 0, "the engine was closed");
    results_.jobs.push_back(std::move(job));
  }
  queue_.clear();
}

bool Engine::work() {
  if (!current_) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.empty()) return false;
    current_ = std::move(queue_.front());
    queue_.pop_front();
    working_ = true;
  }
  try {
    if (current_->step(*kernel_) == Job::Step::more) return true;
  } catch (const Failure& failure) {
    current_->error = failure;
  } catch (const std::exception& error) {
    current_->error = Failure(FailureCode::netlink, 0, error.what());
  }
  finish(std::move(current_));
  return true;
}

void Engine::finish(std::unique_ptr<Job> job) {
  const std::lock_guard<std::mutex> lock(mutex_);
  results_.jobs.push_back(std::move(job));
  working_ = false;
}

void Engine::lose(EventSource& source) {
  kernel_->lose(source);
  report(OverrunEvent{});
}

bool Engine::report(Event&& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const bool raw = std::holds_alternative<RawEvent>(event) || std::holds_alternative<RendezvousEvent>(event);
  if (raw && rawEvents_++ >= maxRawEvents) return false;
  // One overrun says it all until somebody has read it.
  if (results_.events.size() >= maxEvents || std::holds_alternative<OverrunEvent>(event)) {
    if (overrun_) return false;
    overrun_ = true;
    results_.events.emplace_back(OverrunEvent{});
    return false;
  }
  results_.events.push_back(std::move(event));
  return true;
}

void Engine::flush() {
  counters_.probesSent = kernel_->probesSent();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (notified_ || (results_.jobs.empty() && results_.events.empty())) return;
    notified_ = true;
  }
  notify_();
}

}  // namespace corax
