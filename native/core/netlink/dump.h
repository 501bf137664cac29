// A dump, one datagram a slice, asked for again while the kernel says that it was interrupted.
#pragma once

#include <cerrno>
#include <string>

#include "core/netlink/socket.h"

namespace corax {

class Dump {
 public:
  // A table that changes faster than it can be read is somebody else's bug; do not read it for ever.
  static constexpr int maxAttempts = 8;

  // True when all was read. encode(batch) writes the request; restart() forgets what the handler collected.
  template <typename Encode, typename Restart>
  bool advance(NetlinkSocket& socket, const std::string& subject, Encode&& encode, Restart&& restart,
               const NetlinkSocket::Handler& handler) {
    if (!running_) {
      restart();
      MessageBatch batch;
      encode(batch);
      socket.beginDump(batch);
      running_ = true;
    }
    switch (socket.readDump(subject, handler)) {
      case DumpState::more: return false;
      case DumpState::done: running_ = false; return true;
      case DumpState::interrupted: break;
    }
    running_ = false;
    if (++attempts_ >= maxAttempts) {
      throw Failure::system(FailureCode::netlink, subject + ": changed during each of " +
                            std::to_string(maxAttempts) + " reads", EINTR);
    }
    return false;
  }

 private:
  bool running_ = false;
  int attempts_ = 0;
};

}  // namespace corax
