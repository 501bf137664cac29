// STUN answers as the network brings them, before this node's own firewall has its say.
#pragma once

#include <memory>

#include "core/event.h"
#include "core/event_source.h"
#include "core/fd.h"

namespace corax {

// A packet socket for IPv4 (packet(7)): it gets a copy of what comes in on any device before netfilter sees it.
// It reports (RawEvent) STUN responses to any port, see stunFilter in bpf.h; what leaves this node it
// does not see, except on lo. Checked no further than a RawUdp's packets: whoever asked matches the transaction.
class StunTap final : public EventSource {
 public:
  // Throws Failure (socket).
  explicit StunTap(EventSink sink);
  ~StunTap() override;

  int fd() const override { return socket_.get(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
  void onDeadline(Clock::time_point) override {}

 private:
  struct ReceiveBuffers;

  Fd socket_;
  EventSink sink_;
  std::unique_ptr<ReceiveBuffers> buffers_;
};

}  // namespace corax
