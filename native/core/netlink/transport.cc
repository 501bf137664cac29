#include "core/netlink/transport.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/failure.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

namespace corax {
namespace {

// Room for the notifications of a burst of route changes; the default (208 KiB) holds about 300.
constexpr int receiveBuffer = 4 << 20;

class KernelTransport final : public Transport {
 public:
  KernelTransport(int protocol, const std::vector<unsigned>& groups)
      : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {
    if (!fd_) throw Failure::system(FailureCode::netlink, "netlink socket", errno);
    // Kernels that lack an option work without it: extended ACKs are words only, strict checking only
    // makes the kernel filter dumps that the decoders filter again.
    option(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    option(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    option(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    if (::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receiveBuffer, sizeof receiveBuffer) != 0) {
      option(SOL_SOCKET, SO_RCVBUF, receiveBuffer);
    }
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw Failure::system(FailureCode::netlink, "netlink bind", errno);
    }
    for (const unsigned group : groups) {
      if (::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
        throw Failure::system(FailureCode::netlink, "netlink group " + std::to_string(group), errno);
      }
    }
    socklen_t size = sizeof address;
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw Failure::system(FailureCode::netlink, "netlink port", errno);
    }
    portId_ = address.nl_pid;
  }

  int fd() const override { return fd_.get(); }
  uint32_t portId() const override { return portId_; }

  int send(Bytes datagram) override {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    for (;;) {
      const ssize_t sent = ::sendto(fd_.get(), datagram.data, datagram.size, 0,
                                    reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
      if (sent >= 0) return 0;
      if (errno != EINTR) return -errno;
    }
  }

  ssize_t receive(uint8_t* buffer, size_t size) override {
    for (;;) {
      sockaddr_nl sender{};
      iovec vector{buffer, size};
      msghdr message{};
      message.msg_name = &sender;
      message.msg_namelen = sizeof sender;
      message.msg_iov = &vector;
      message.msg_iovlen = 1;
      const ssize_t received = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
      if (received < 0) {
        if (errno == EINTR) continue;
        return -errno;
      }
      // Any process may write to our port id: only what the kernel (port 0) sent counts.
      if (sender.nl_pid != 0) continue;
      if ((message.msg_flags & MSG_TRUNC) != 0) return -EMSGSIZE;
      return received;
    }
  }

 private:
  void option(int level, int name, int value) { (void)::setsockopt(fd_.get(), level, name, &value, sizeof value); }

  Fd fd_;
  uint32_t portId_ = 0;
};

}  // namespace

std::unique_ptr<Transport> openNetlink(int protocol, const std::vector<unsigned>& groups) {
  return std::make_unique<KernelTransport>(protocol, groups);
}

}  // namespace corax
