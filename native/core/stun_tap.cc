#include "core/stun_tap.h"

#include "core/bpf.h"
#include "core/packet_socket.h"
#include "core/receive_batch.h"
#include "core/udp_packet.h"

namespace corax {

struct StunTap::ReceiveBuffers : ReceiveBatch {};

StunTap::StunTap(EventSink sink)
    : socket_(openPacketSocket(stunFilter())),
      sink_(std::move(sink)),
      buffers_(std::make_unique<ReceiveBuffers>()) {}

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
