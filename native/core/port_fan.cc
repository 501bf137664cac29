#include "core/port_fan.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "core/failure.h"
#include "core/port_probe.h"

namespace corax {
namespace {

// A NAT may take new mappings only so fast, and the thread has other work.
constexpr uint32_t atOnce = 32;
constexpr auto pause = std::chrono::milliseconds(5);
// RFC 3948 2.3: what a NAT keepalive holds.
constexpr uint8_t opening = 0xff;
constexpr int readsAtOnce = 4;

uint16_t localPortOf(int fd) {
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return 0;
  return ntohs(own.sin_port);
}

}  // namespace

PortFan::PortFan(const FanOptions& options, EventSink sink)
    : options_(options), sink_(std::move(sink)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw Failure::system(FailureCode::socket, "open a fan of ports", errno);
  next_ = Clock::now();
  end_ = next_ + std::chrono::milliseconds(options.lifeMs);
  sockets_.reserve(options.sockets);
  openSome(next_);
  if (sockets_.empty()) throw Failure::system(FailureCode::socket, "open a fan of ports", errno);
}

std::optional<Clock::time_point> PortFan::deadline() const {
  if (done_) return std::nullopt;
  return tried_ < options_.sockets ? std::min(next_, end_) : end_;
}

void PortFan::onDeadline(Clock::time_point now) {
  if (now >= end_) finish(0, 0);
  else if (tried_ < options_.sockets) openSome(now);
}

void PortFan::openSome(Clock::time_point now) {
  for (uint32_t opened = 0; opened < atOnce && tried_ < options_.sockets; ++opened, ++tried_) {
    // Out of descriptors, or of routes: what there is has to do.
    if (!openOne()) tried_ = options_.sockets - 1;
  }
  next_ = now + pause;
}

bool PortFan::openOne() {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return false;
  const int ttl = options_.ttl;
  const uint32_t mark = options_.mark;
  if (mark != 0 && setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) return false;
  if (setsockopt(fd.get(), IPPROTO_IP, IP_TTL, &ttl, sizeof ttl) != 0) return false;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr = options_.destination;
  to.sin_port = htons(options_.destinationPort);
  // Connected, it hears nobody else.
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return false;
  if (::send(fd.get(), &opening, sizeof opening, 0) < 0) return false;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = static_cast<uint32_t>(sockets_.size());
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) return false;
  sockets_.push_back(std::move(fd));
  return true;
}

void PortFan::onReadable() {
  std::array<epoll_event, 16> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count && !done_; ++i) {
    const int fd = sockets_[events[static_cast<size_t>(i)].data.u32].get();
    for (int reads = 0; reads < readsAtOnce; ++reads) {
      // One byte more shows that there was more.
      std::array<uint8_t, portProbeSize + 1> data;
      const ssize_t length = recv(fd, data.data(), data.size(), 0);
      if (length < 0) break;
      const auto port = parsePortProbe({data.data(), static_cast<size_t>(length)}, options_.token);
      if (!port) continue;
      finish(localPortOf(fd), *port);
      break;
    }
  }
}

void PortFan::finish(uint16_t localPort, uint16_t outsidePort) {
  done_ = true;
  sockets_.clear();
  sink_(FanEvent{options_.id, localPort, outsidePort});
}

}  // namespace corax
