#include "core/icmp_socket.h"

#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/net_tstamp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/bpf.h"
#include "core/failure.h"
#include "core/probe_types.h"

namespace corax {
namespace {

constexpr size_t batch = ProbeSocket::batch;
// Answers wait here while the thread is busy: some 10,000, so that it does not invent losses.
constexpr int receiveBuffer = 16 << 20;
constexpr int sendBuffer = 4 << 20;
constexpr int stampBuffer = 4 << 20;

// When a probe left is the kernel's word too: the thread's own clock just before a batch of 64 said 150 us where
// veth took 3, and on a busy machine milliseconds. The stamp is taken where the packet enters the device's queue
// (TX_SCHED), which every device has, also those without a queue or a driver's stamps (veth, WireGuard, xfrm),
// and before the send call returns, so that the stamps are fetched at once. A tunnel's packets are stamped again,
// later, when they go out of the device below: only the first counts. These stamps make a socket "readable"
// (EPOLLERR); so the one that sends is not the one that the thread waits on.
constexpr int sendStamps =
    SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_OPT_TSONLY;
constexpr int numberedStamps = sendStamps | SOF_TIMESTAMPING_OPT_ID;
constexpr int receiveStamps = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE;

// What follows the head of every probe.
const std::array<uint8_t, ProbeTarget::maxSize> zeros{};

constexpr size_t sendControl = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in_pktinfo));
constexpr size_t receiveControl = CMSG_SPACE(sizeof(scm_timestamping)) + CMSG_SPACE(sizeof(in_pktinfo)) +
                                  CMSG_SPACE(sizeof(sock_extended_err) + sizeof(sockaddr_in));

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

int64_t unixNow() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return nanoseconds(time);
}

void setOption(int fd, int level, int option, int value, const char* name) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0)
    throw Failure::system(FailureCode::socket, name, errno);
}

// Beyond net.core.*mem_max only with CAP_NET_ADMIN; the prober works with less.
void setBuffer(int fd, int force, int option, int size) {
  if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

Fd openSocket() {
  Fd fd(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP));
  if (!fd) throw Failure::system(FailureCode::socket, "open a raw ICMP socket", errno);
  return fd;
}

template <typename T>
void putControl(cmsghdr* item, int type, const T& value) {
  item->cmsg_level = IPPROTO_IP;
  item->cmsg_type = type;
  item->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(item), &value, sizeof value);
}

// What the kernel says beside the packet.
struct Stamp {
  // Unix time in nanoseconds, 0 = none.
  int64_t time = 0;
  // Of the send that it belongs to.
  uint32_t number = 0;
  // By which it came in, 0 = unknown.
  uint32_t ifindex = 0;
};

Stamp stampOf(msghdr& message) {
  Stamp stamp;
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPING) {
      scm_timestamping times{};
      std::memcpy(&times, CMSG_DATA(item), sizeof times);
      stamp.time = nanoseconds(times.ts[0]);
    } else if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(item), sizeof info);
      stamp.ifindex = static_cast<uint32_t>(info.ipi_ifindex);
    } else if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_RECVERR) {
      sock_extended_err error{};
      std::memcpy(&error, CMSG_DATA(item), sizeof error);
      stamp.number = error.ee_data;
    }
  }
  return stamp;
}

}  // namespace

struct IcmpSocket::Buffers {
  std::array<mmsghdr, batch> outgoing{};
  std::array<std::array<iovec, 2>, batch> outgoingParts{};
  std::array<sockaddr_in, batch> destinations{};
  struct alignas(cmsghdr) SendControl {
    std::array<char, sendControl> bytes{};
  };
  std::array<SendControl, batch> sendControls{};

  std::array<mmsghdr, batch> incoming{};
  std::array<iovec, batch> incomingParts{};
  std::array<std::array<uint8_t, probeReadSize>, batch> data{};
  struct alignas(cmsghdr) ReceiveControl {
    std::array<char, receiveControl> bytes{};
  };
  std::array<ReceiveControl, batch> receiveControls{};
  std::array<IncomingPacket, batch> packets{};

  // The kernel's number for the next send.
  uint32_t nextNumber = 0;

  void fill(size_t i, OutgoingProbe& probe) {
    destinations[i].sin_family = AF_INET;
    destinations[i].sin_addr = probe.destination;
    outgoingParts[i][0] = {probe.head.data(), probe.head.size()};
    // 20: the IP header, which the kernel writes.
    outgoingParts[i][1] = {const_cast<uint8_t*>(zeros.data()), probe.size - 20 - probe.head.size()};
    msghdr& message = outgoing[i].msg_hdr;
    message.msg_name = &destinations[i];
    message.msg_namelen = sizeof destinations[i];
    message.msg_iov = outgoingParts[i].data();
    message.msg_iovlen = 2;
    message.msg_control = sendControls[i].bytes.data();
    message.msg_controllen = sendControl;
    const int tos = probe.tos;
    cmsghdr* item = CMSG_FIRSTHDR(&message);
    putControl(item, IP_TOS, tos);
    in_pktinfo info{};
    info.ipi_spec_dst = probe.source;
    putControl(CMSG_NXTHDR(&message, item), IP_PKTINFO, info);
  }

  // How many came, at most batch; stamps and data are in place.
  size_t receive(int fd, int flags) {
    for (size_t i = 0; i < batch; ++i) {
      msghdr& message = incoming[i].msg_hdr;
      incomingParts[i] = {data[i].data(), data[i].size()};
      message = {};
      message.msg_iov = &incomingParts[i];
      message.msg_iovlen = 1;
      message.msg_control = receiveControls[i].bytes.data();
      message.msg_controllen = receiveControl;
    }
    const int count = recvmmsg(fd, incoming.data(), batch, flags | MSG_DONTWAIT, nullptr);
    return count > 0 ? static_cast<size_t>(count) : 0;
  }
};

IcmpSocket::IcmpSocket(uint64_t token)
    : receiver_(openSocket()), sender_(openSocket()), buffers_(std::make_unique<Buffers>()) {
  attachFilter(receiver_.get(), probeFilter(token));
  setOption(receiver_.get(), SOL_SOCKET, SO_TIMESTAMPING, receiveStamps, "set SO_TIMESTAMPING");
  setOption(receiver_.get(), IPPROTO_IP, IP_PKTINFO, 1, "set IP_PKTINFO");
  setBuffer(receiver_.get(), SO_RCVBUFFORCE, SO_RCVBUF, receiveBuffer);

  attachFilter(sender_.get(), dropAllFilter());
  // The same for all types up to 31, before the kernel makes a copy for the filter to drop.
  const icmp_filter nothing{UINT32_MAX};
  if (setsockopt(sender_.get(), SOL_RAW, ICMP_FILTER, &nothing, sizeof nothing) != 0)
    throw Failure::system(FailureCode::socket, "set ICMP_FILTER", errno);
  // DF, and the device's MTU is the only limit: what the kernel remembers of a path's MTU is what a probe is
  // there to find out.
  setOption(sender_.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, "set IP_MTU_DISCOVER");
  setOption(sender_.get(), SOL_SOCKET, SO_TIMESTAMPING, numberedStamps, "set SO_TIMESTAMPING");
  setBuffer(sender_.get(), SO_SNDBUFFORCE, SO_SNDBUF, sendBuffer);
  setBuffer(sender_.get(), SO_RCVBUFFORCE, SO_RCVBUF, stampBuffer);
}

IcmpSocket::~IcmpSocket() = default;

size_t IcmpSocket::send(OutgoingProbe* probes, size_t count) {
  Buffers& b = *buffers_;
  for (size_t i = 0; i < count; ++i) b.fill(i, probes[i]);

  const int64_t start = unixNow();
  size_t done = 0;
  size_t numbered = count;
  while (done < count) {
    const int64_t before = unixNow();
    const int sent = sendmmsg(sender_.get(), &b.outgoing[done], static_cast<unsigned>(count - done), 0);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i, ++done) {
        probes[done].error = 0;
        probes[done].sentAt = before;
      }
      continue;
    }
    if (errno == EINTR) continue;
    // From here on the numbers cannot be told: some failures use one up, others do not.
    numbered = std::min(numbered, done);
    if (errno == EAGAIN) break;
    probes[done].sentAt = before;
    probes[done++].error = errno;
  }
  takeSendStamps(probes, std::min(numbered, done), start);
  if (numbered < count) renumber();
  return done;
}

void IcmpSocket::takeSendStamps(OutgoingProbe* probes, size_t count, int64_t notBefore) {
  Buffers& b = *buffers_;
  const int64_t now = unixNow();
  uint64_t stamped = 0;
  size_t received;
  do {
    received = b.receive(sender_.get(), MSG_ERRQUEUE);
    for (size_t i = 0; i < received; ++i) {
      const Stamp stamp = stampOf(b.incoming[i].msg_hdr);
      const uint32_t at = stamp.number - b.nextNumber;
      // The times bound what a wrong number could do.
      if (at >= count || (stamped >> at & 1) != 0 || stamp.time < notBefore || stamp.time > now) continue;
      stamped |= uint64_t{1} << at;
      probes[at].sentAt = stamp.time;
    }
  } while (received == batch);
  b.nextNumber += static_cast<uint32_t>(count);
}

void IcmpSocket::renumber() {
  // Setting OPT_ID anew starts from 0. If it fails there are stamps without a match, and `before` serves.
  setsockopt(sender_.get(), SOL_SOCKET, SO_TIMESTAMPING, &sendStamps, sizeof sendStamps);
  setsockopt(sender_.get(), SOL_SOCKET, SO_TIMESTAMPING, &numberedStamps, sizeof numberedStamps);
  buffers_->nextNumber = 0;
}

size_t IcmpSocket::receive(const IncomingPacket*& packets) {
  Buffers& b = *buffers_;
  const size_t count = b.receive(receiver_.get(), 0);
  for (size_t i = 0; i < count; ++i) {
    const Stamp stamp = stampOf(b.incoming[i].msg_hdr);
    b.packets[i] = {b.data[i].data(), b.incoming[i].msg_len, stamp.time != 0 ? stamp.time : unixNow(), stamp.ifindex};
  }
  packets = b.packets.data();
  return count;
}

int64_t IcmpSocket::clock() const { return unixNow(); }

}  // namespace corax
