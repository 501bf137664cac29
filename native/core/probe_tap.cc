#include "core/probe_tap.h"

#include "core/bpf.h"
#include "core/packet_socket.h"
#include "core/receive_batch.h"

namespace corax {

struct ProbeTap::ReceiveBuffers : ReceiveBatch {};

ProbeTap::ProbeTap(uint64_t token, Take take)
    : socket_(openPacketSocket(probeRequestFilter(token))),
      take_(std::move(take)),
      buffers_(std::make_unique<ReceiveBuffers>()) {}

ProbeTap::~ProbeTap() = default;

void ProbeTap::onReadable() {
  requests_.clear();
  buffers_->read(socket_.get(), [this](Bytes bytes) {
    const auto probe = parseProbe(bytes.data, bytes.size);
    if (probe && !probe->reply) requests_.push_back(*probe);
  });
  if (!requests_.empty()) take_(requests_);
}

}  // namespace corax
