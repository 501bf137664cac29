#include "core/handshake_tap.h"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/bpf.h"
#include "core/failure.h"
#include "core/packet_socket.h"
#include "core/udp_packet.h"

namespace corax {
namespace {

// Packets of one system call, and calls of one turn: no more than leaves the thread to its other work.
constexpr size_t batch = 32;
constexpr int rounds = 4;
// The longest IP header, UDP header and message; one byte more shows that there was more.
constexpr size_t packetSize = 60 + udpHeaderSize + initiationSize + 1;

int64_t stampOf(msghdr& message) {
  timespec time{};
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPNS)
      std::memcpy(&time, CMSG_DATA(item), sizeof time);
  }
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

struct HandshakeTap::ReceiveBuffers {
  struct alignas(cmsghdr) Control {
    std::array<char, CMSG_SPACE(sizeof(timespec))> bytes;
  };

  std::array<std::array<uint8_t, packetSize>, batch> data;
  std::array<iovec, batch> parts;
  std::array<sockaddr_ll, batch> senders{};
  std::array<Control, batch> controls{};
  std::array<mmsghdr, batch> messages{};

  // How many came, at most batch.
  size_t receive(int fd) {
    for (size_t i = 0; i < batch; ++i) {
      parts[i] = {data[i].data(), data[i].size()};
      msghdr& message = messages[i].msg_hdr;
      message = {};
      message.msg_iov = &parts[i];
      message.msg_iovlen = 1;
      message.msg_name = &senders[i];
      message.msg_namelen = sizeof senders[i];
      message.msg_control = controls[i].bytes.data();
      message.msg_controllen = controls[i].bytes.size();
    }
    const int count = recvmmsg(fd, messages.data(), batch, MSG_DONTWAIT, nullptr);
    return count > 0 ? static_cast<size_t>(count) : 0;
  }
};

HandshakeTap::HandshakeTap(int ifindex, std::vector<uint16_t> ports, std::atomic<uint64_t>& unanswered, EventSink sink)
    : ifindex_(ifindex),
      ports_(std::move(ports)),
      socket_(openPacketSocket(handshakeFilter(ports_), ifindex)),
      watch_(ports_, unanswered, std::move(sink)),
      buffers_(std::make_unique<ReceiveBuffers>()) {
  const int on = 1;
  if (setsockopt(socket_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
    throw Failure::system(FailureCode::socket, "set SO_TIMESTAMPNS", errno);
}

HandshakeTap::~HandshakeTap() = default;

void HandshakeTap::onReadable() {
  for (int round = 0; round < rounds; ++round) {
    const size_t count = buffers_->receive(socket_.get());
    const Clock::time_point now = Clock::now();
    for (size_t i = 0; i < count; ++i) {
      const auto packet = parseHandshake({buffers_->data[i].data(), buffers_->messages[i].msg_len});
      const uint8_t way = buffers_->senders[i].sll_pkttype;
      if (!packet || (way != PACKET_OUTGOING && way != PACKET_HOST)) continue;
      watch_.take(*packet, way == PACKET_OUTGOING, stampOf(buffers_->messages[i].msg_hdr), now);
    }
    if (count < batch) break;
  }
}

}  // namespace corax
