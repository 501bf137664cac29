// The seam between the netlink code and the kernel: tests put one end of a socketpair here.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/bytes.h"
#include "core/fd.h"

namespace corax {

class Transport {
 public:
  virtual ~Transport() = default;
  virtual int fd() const = 0;
  // Who the kernel says was the requester, in notifications of what was changed through this socket.
  virtual uint32_t portId() const = 0;
  // One datagram, whole. 0 or a negative errno.
  virtual int send(Bytes datagram) = 0;
  // One datagram without waiting: its size, or a negative errno (-EAGAIN: none, -EMSGSIZE: it did not fit).
  virtual ssize_t receive(uint8_t* buffer, size_t size) = 0;
};

// A netlink socket of this protocol (NETLINK_ROUTE, NETLINK_GENERIC) in the thread's network namespace,
// subscribed to these groups (RTNLGRP_*). Throws Failure.
std::unique_ptr<Transport> openNetlink(int protocol, const std::vector<unsigned>& groups = {});

}  // namespace corax
