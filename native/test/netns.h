// Two fresh network namespaces joined by a veth pair, for one thread; both are gone with the object.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/fd.h"
#include "test/check.h"

namespace corax::test {

// near: v0, 10.8.0.1/24; far: v1, 10.8.0.2/24, and all of 10.9.0.0/16 answers there, routed from near.
class Netns {
 public:
  Netns() : home_(current()) {
    unshareNet();
    far_ = current();
    run("ip link set lo up");
    unshareNet();
    near_ = current();
    run("ip link set lo up");
    run("ip link add v0 type veth peer name v1 netns /proc/" + std::to_string(getpid()) + "/fd/" +
        std::to_string(far_.get()));
    run("ip address add 10.8.0.1/24 dev v0 && ip link set v0 up");
    enterFar();
    run("ip address add 10.8.0.2/24 dev v1 && ip link set v1 up && ip route add local 10.9.0.0/16 dev lo");
    enterNear();
    run("ip route add 10.9.0.0/16 via 10.8.0.2");
  }
  ~Netns() { setns(home_.get(), CLONE_NEWNET); }
  Netns(const Netns&) = delete;
  Netns& operator=(const Netns&) = delete;

  // Sockets and commands from here on belong there.
  void enterNear() { enter(near_); }
  void enterFar() { enter(far_); }

  static void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) fail(__FILE__, __LINE__, command);
  }

 private:
  static Fd current() {
    // Of this thread, not of the process.
    Fd fd(open("/proc/thread-self/ns/net", O_RDONLY));
    CHECK(fd.get() >= 0);
    return fd;
  }
  static void unshareNet() {
    if (unshare(CLONE_NEWNET) != 0) fail(__FILE__, __LINE__, "unshare(CLONE_NEWNET): these tests need root");
  }
  static void enter(const Fd& fd) { CHECK(setns(fd.get(), CLONE_NEWNET) == 0); }

  Fd home_, near_, far_;
};

}  // namespace corax::test
