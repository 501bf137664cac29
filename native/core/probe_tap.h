// Others' probes as the network brings them, before this node's own firewall has its say.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/event_source.h"
#include "core/fd.h"
#include "core/probe_packet.h"

namespace corax {

// A packet socket for IPv4 (packet(7)): it gets a copy of each echo request of our form, see probeRequestFilter in
// bpf.h, whatever device it comes in by and whatever becomes of it then.
class ProbeTap final : public EventSource {
 public:
  // What was read together.
  using Take = std::function<void(const std::vector<TappedProbe>&)>;

  // `token` is this node's: what carries it is left out. Throws Failure (socket).
  ProbeTap(uint64_t token, Take take);
  ~ProbeTap() override;

  int fd() const override { return socket_.get(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
  void onDeadline(Clock::time_point) override {}

 private:
  struct ReceiveBuffers;

  Fd socket_;
  Take take_;
  std::unique_ptr<ReceiveBuffers> buffers_;
  std::vector<TappedProbe> requests_;
};

}  // namespace corax
