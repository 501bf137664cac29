// The easy end of a birthday: probes from the tunnel's port to random ports of the other end's NAT.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/raw_udp.h"

namespace corax {

struct SprayOptions {
  uint32_t id;
  // Ports, here and below, in host byte order.
  uint16_t sourcePort;
  in_addr destination;
  // Ports are taken from here, both included, none twice.
  uint16_t first;
  uint16_t last;
  uint32_t count;
  uint64_t token;
};

// Sends them a few at a time, and reports one SprayEvent when all were tried.
class PortSpray final : public EventSource {
 public:
  static constexpr uint32_t maxProbes = 2048;
  // Together with `pause` 1,280 a second.
  static constexpr uint32_t atOnce = 32;
  static constexpr std::chrono::milliseconds pause{25};
  // As RawUdp::send.
  using Send = std::function<std::vector<int>(const std::vector<RawDatagram>&)>;

  // Throws Failure (socket) where there is no randomness.
  PortSpray(const SprayOptions& options, Send send, EventSink sink);

  int fd() const override { return -1; }
  void onReadable() override {}
  std::optional<Clock::time_point> deadline() const override;
  void onDeadline(Clock::time_point now) override;

 private:
  SprayOptions options_;
  Send send_;
  EventSink sink_;
  // Those to come, the next one last.
  std::vector<uint16_t> ports_;
  uint32_t sent_ = 0;
  uint32_t failed_ = 0;
  bool done_ = false;
  Clock::time_point next_;
};

}  // namespace corax
