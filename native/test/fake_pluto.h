// The other end of pluto's control socket, with manners of the test's own.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/fd.h"
#include "test/check.h"

namespace corax::test {

// A folder with the place for a socket in it; nothing listens.
class SocketPlace {
 public:
  SocketPlace() {
    char name[] = "/tmp/corax-pluto-XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    folder_ = name;
  }
  ~SocketPlace() {
    (void)::unlink(path().c_str());
    (void)::rmdir(folder_.c_str());
  }
  std::string path() const { return folder_ + "/pluto.ctl"; }

  Fd listen(int backlog) const {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().data(), path().size());
    CHECK(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    CHECK(::listen(fd.get(), backlog) == 0);
    return fd;
  }

 private:
  std::string folder_;
};

// Says what there is to say, false once nobody listens any more.
inline bool say(int fd, const std::string& words) {
  return ::send(fd, words.data(), words.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(words.size());
}

// Serves one connection after the other on a thread of its own.
class FakePluto {
 public:
  // With the connection, and the message in the one piece in which it came.
  using Serve = std::function<void(int fd, const std::string& message)>;

  explicit FakePluto(Serve serve)
      : serve_(std::move(serve)), listener_(place_.listen(16)), stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { run(); }) {}
  ~FakePluto() {
    const uint64_t one = 1;
    CHECK_EQ(::write(stop_.get(), &one, sizeof one), sizeof one);
    thread_.join();
  }

  std::string path() const { return place_.path(); }
  // Whether somebody waits to be served.
  bool isAskedMore() const { return isReadable(listener_.get(), 0); }

 private:
  static bool isReadable(int fd, int timeout) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, timeout) > 0;
  }

  void run() {
    for (;;) {
      pollfd polled[2] = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
      if (::poll(polled, 2, -1) < 0) continue;
      if (polled[0].revents != 0) return;
      const Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) continue;
      std::vector<char> buffer(64u << 10);
      const ssize_t size = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
      serve_(connection.get(), std::string(buffer.data(), size > 0 ? static_cast<size_t>(size) : 0));
    }
  }

  const Serve serve_;
  const SocketPlace place_;
  const Fd listener_, stop_;
  std::thread thread_;
};

}  // namespace corax::test
