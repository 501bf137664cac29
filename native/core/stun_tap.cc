#include "core/stun_tap.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/bpf.h"
#include "core/failure.h"
#include "core/receive_batch.h"
#include "core/udp_packet.h"

namespace corax {

struct StunTap::ReceiveBuffers : ReceiveBatch {};

StunTap::StunTap(EventSink sink) : sink_(std::move(sink)), buffers_(std::make_unique<ReceiveBuffers>()) {
  // SOCK_DGRAM: packets from their IP header on, whatever the device's link layer is. Protocol 0: none yet, until
  // the filter is there. A packet socket that is not for all protocols gets nothing that this node sends.
  socket_ = Fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) throw Failure::system(FailureCode::socket, "open a packet socket", errno);
  attachFilter(socket_.get(), stunFilter());
  sockaddr_ll everywhere{};
  everywhere.sll_family = AF_PACKET;
  everywhere.sll_protocol = htons(ETH_P_IP);
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof everywhere) != 0)
    throw Failure::system(FailureCode::socket, "bind a packet socket", errno);
}

StunTap::~StunTap() = default;

void StunTap::onReadable() {
  buffers_->read(socket_.get(), [this](Bytes bytes) {
    const auto packet = parseStunResponse(bytes);
    if (!packet) return;
    const Bytes payload = packet->payload;
    sink_(RawEvent{packet->source, packet->sourcePort, {payload.data, payload.data + payload.size}});
  });
}

}  // namespace corax
