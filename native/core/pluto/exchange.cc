#include "core/pluto/exchange.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <vector>

#include "core/failure.h"
#include "core/fd.h"

namespace corax {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds retryConnect{20};

class Connection {
 public:
  explicit Connection(const PlutoExchange& how) : how_(how), deadline_(Clock::now() + how.timeout) {}

  void open();
  void send(Bytes message);
  std::string receive();

 private:
  // Until the socket is ready for these events, or until this time is over, without a socket.
  void wait(int fd, short events, milliseconds most, const char* what);
  [[noreturn]] void fail(int number, const std::string& what) const {
    throw Failure::system(FailureCode::pluto, "pluto at " + how_.path + ": " + what, number);
  }

  const PlutoExchange& how_;
  const Clock::time_point deadline_;
  Fd fd_;
};

void Connection::wait(int fd, short events, milliseconds most, const char* what) {
  for (;;) {
    const milliseconds left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0) {
      fail(ETIMEDOUT, std::string(what) + " within " + std::to_string(how_.timeout.count()) +
                          " ms: it is busy or hangs; its log says with what");
    }
    pollfd polled[2] = {{how_.stop, POLLIN, 0}, {fd, events, 0}};
    const auto time = std::min(left, most).count();
    const int ready = ::poll(polled, fd >= 0 ? 2 : 1, static_cast<int>(std::min<decltype(time)>(time, INT_MAX)));
    if (ready < 0 && errno != EINTR) fail(errno, "poll");
    if (ready > 0 && polled[0].revents != 0) throw Failure(FailureCode::closed, 0, "the pluto client was closed");
    if (ready > 0 || (ready == 0 && fd < 0)) return;
  }
}

void Connection::open() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (how_.path.empty() || how_.path.size() >= sizeof address.sun_path) fail(ENAMETOOLONG, "the socket's path");
  std::memcpy(address.sun_path, how_.path.data(), how_.path.size());
  fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) fail(errno, "no socket could be made");
  while (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    switch (errno) {
      case EINTR: break;
      // Its backlog is full, and nothing tells when it no longer is.
      case EAGAIN: wait(-1, 0, retryConnect, "it takes no connection"); break;
      case ENOENT: fail(ENOENT, "there is no such socket: it does not run, or elsewhere (--pluto-socket)");
      case ECONNREFUSED: fail(ECONNREFUSED, "nobody listens: it has ended, and left its socket behind");
      case EACCES:
      case EPERM: fail(errno, "its socket is its user's alone: corax has to run as root");
      default: fail(errno, "its socket cannot be opened");
    }
  }
}

void Connection::send(Bytes message) {
  // In one write: what comes in two, pluto takes to be cut off.
  for (;;) {
    const ssize_t sent = ::send(fd_.get(), message.data, message.size, MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(message.size)) return;
    if (sent >= 0) fail(EMSGSIZE, "it took only a part of the command");
    if (errno == EAGAIN) {
      wait(fd_.get(), POLLOUT, milliseconds::max(), "it took no command");
    } else if (errno != EINTR) {
      fail(errno, "it closed the connection before it took the command: it may have ended, its log says why");
    }
  }
}

std::string Connection::receive() {
  std::string reply;
  std::vector<char> buffer(64u << 10);
  for (;;) {
    wait(fd_.get(), POLLIN, milliseconds::max(), reply.empty() ? "it did not answer" : "it did not end its answer");
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size == 0) return reply;
    if (size < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      fail(errno, "it broke off after " + std::to_string(reply.size()) +
                      " bytes of answer: it refused the command unread, or has ended; its log says why");
    }
    if (reply.size() + static_cast<size_t>(size) > how_.maxReply) {
      fail(EMSGSIZE, "its answer is longer than " + std::to_string(how_.maxReply) + " bytes");
    }
    reply.append(buffer.data(), static_cast<size_t>(size));
  }
}

}  // namespace

std::string exchange(const PlutoExchange& how, Bytes message) {
  Connection connection(how);
  connection.open();
  connection.send(message);
  return connection.receive();
}

}  // namespace corax
