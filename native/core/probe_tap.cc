#include "core/probe_tap.h"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "core/bpf.h"
#include "core/packet_socket.h"

namespace corax {
namespace {

// Packets of one system call, and calls of one turn: no more than leaves the thread to its other work.
constexpr size_t batch = 64;
constexpr int rounds = 4;

}  // namespace

struct ProbeTap::ReceiveBuffers {
  std::array<std::array<uint8_t, probeReadSize>, batch> data;
  std::array<iovec, batch> parts;
  std::array<sockaddr_ll, batch> senders{};
  std::array<mmsghdr, batch> messages{};

  // How many came, at most batch.
  size_t receive(int fd) {
    for (size_t i = 0; i < batch; ++i) {
      parts[i] = {data[i].data(), data[i].size()};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_name = &senders[i];
      messages[i].msg_hdr.msg_namelen = sizeof senders[i];
    }
    const int count = recvmmsg(fd, messages.data(), batch, MSG_DONTWAIT, nullptr);
    return count > 0 ? static_cast<size_t>(count) : 0;
  }
};

ProbeTap::ProbeTap(uint64_t token, Take take)
    : socket_(openPacketSocket(probeRequestFilter(token))),
      take_(std::move(take)),
      buffers_(std::make_unique<ReceiveBuffers>()) {}

ProbeTap::~ProbeTap() = default;

void ProbeTap::onReadable() {
  requests_.clear();
  for (int round = 0; round < rounds; ++round) {
    const size_t count = buffers_->receive(socket_.get());
    for (size_t i = 0; i < count; ++i) {
      const auto probe = parseProbe(buffers_->data[i].data(), buffers_->messages[i].msg_len);
      const auto ifindex = static_cast<uint32_t>(buffers_->senders[i].sll_ifindex);
      if (probe && !probe->reply) requests_.push_back({*probe, ifindex});
    }
    if (count < batch) break;
  }
  if (!requests_.empty()) take_(requests_);
}

}  // namespace corax
