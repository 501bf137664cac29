#include "core/reactor.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "core/failure.h"

namespace corax {

Reactor::Reactor(Callbacks callbacks)
    : callbacks_(std::move(callbacks)), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_ || !wake_) throw Failure::system(FailureCode::socket, "native thread", errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    throw Failure::system(FailureCode::socket, "native thread", errno);
  }
}

void Reactor::start() {
  // Signals are Node's: the thread inherits a mask that blocks them all.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Failure::system(FailureCode::socket, "native thread", EAGAIN);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_setname_np(thread_.native_handle(), "corax");
}

void Reactor::wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread wakes anyway.
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Reactor::stop() {
  stopping_ = true;
  if (!thread_.joinable()) return;
  wake();
  thread_.join();
}

void Reactor::add(EventSource& source) {
  if (source.fd() >= 0) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &source;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, source.fd(), &event) != 0) {
      throw Failure::system(FailureCode::socket, "epoll", errno);
    }
  }
  sources_.push_back(&source);
}

void Reactor::remove(EventSource& source) {
  const auto found = std::find(sources_.begin(), sources_.end(), &source);
  if (found == sources_.end()) return;
  sources_.erase(found);
  if (source.fd() >= 0) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, source.fd(), nullptr);
}

int Reactor::waitTime(bool busy) const {
  if (busy) return 0;
  std::optional<Clock::time_point> next;
  for (const EventSource* source : sources_) {
    const auto deadline = source->deadline();
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  if (!next) return -1;
  // Rounded up, or the last millisecond would be spent turning.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000));
}

void Reactor::dispatch(EventSource& source, const std::function<void()>& call) {
  try {
    call();
  } catch (...) {
    // What it would have reported is lost; left in place it would throw again at once, for ever.
    remove(source);
    callbacks_.sourceFailed(source);
  }
}

void Reactor::run() {
  bool busy = true;
  while (!stopping_) {
    epoll_event events[16];
    const int ready = ::epoll_wait(epoll_.get(), events, 16, waitTime(busy));
    for (int index = 0; index < ready; index++) {
      if (events[index].data.ptr == nullptr) {
        uint64_t count;
        (void)!::read(wake_.get(), &count, sizeof count);
      } else {
        auto& source = *static_cast<EventSource*>(events[index].data.ptr);
        dispatch(source, [&] { source.onReadable(); });
      }
    }
    const Clock::time_point now = Clock::now();
    for (EventSource* source : std::vector<EventSource*>(sources_)) {
      const auto deadline = source->deadline();
      if (deadline && *deadline <= now) dispatch(*source, [&] { source->onDeadline(now); });
    }
    busy = callbacks_.work();
    callbacks_.flush();
  }
}

}  // namespace corax
