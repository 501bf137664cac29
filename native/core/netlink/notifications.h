// What the kernel reports unasked over netlink: messages of groups that a socket is subscribed to.
#pragma once

#include <linux/netlink.h>

#include <functional>
#include <memory>
#include <vector>

#include "core/netlink/attribute_reader.h"
#include "core/netlink/socket.h"
#include "core/netlink/transport.h"

namespace corax {

// Calls visit(message, port id of who asked for what it tells, 0 = the kernel itself) for each message of a datagram;
// throws Failure EBADMSG at the first that lies about its length.
template <typename Visit>
void eachMessage(Bytes datagram, Visit&& visit) {
  while (datagram.size > 0) {
    const auto header = readHeader<nlmsghdr>(datagram);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size) malformed("message length");
    visit(NetlinkMessage{header.nlmsg_type, header.nlmsg_flags,
                         {datagram.data + sizeof header, header.nlmsg_len - sizeof header}},
          header.nlmsg_pid);
    const size_t step = NLMSG_ALIGN(static_cast<size_t>(header.nlmsg_len));
    datagram = step < datagram.size ? Bytes{datagram.data + step, datagram.size - step} : Bytes{};
  }
}

class Notifications {
 public:
  struct Handlers {
    // May throw Failure: then the datagram counts as unreadable.
    std::function<void(Bytes)> datagram;
    // There was a datagram, and nobody knows what it said.
    std::function<void()> unreadable;
    // ENOBUFS says that messages were lost; after any other errno that may be so too.
    std::function<void()> lost;
  };

  explicit Notifications(std::unique_ptr<Transport> transport);

  int fd() const { return transport_->fd(); }
  // Reads what there is, bounded. Throws Failure where the socket does nothing but fail.
  void read(const Handlers& handlers);

 private:
  std::unique_ptr<Transport> transport_;
  std::vector<uint8_t> buffer_;
};

}  // namespace corax
