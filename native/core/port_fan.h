// The hard end of a birthday: many sockets, each a mapping at the own NAT, wait for one probe of the other end's.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/fd.h"

namespace corax {

struct FanOptions {
  uint32_t id;
  // The other end's hole; the port in host byte order.
  in_addr destination;
  uint16_t destinationPort;
  uint32_t sockets;
  // Of the packet that opens the own NAT: passes that, and dies on the way.
  uint8_t ttl;
  // SO_MARK, 0 = none.
  uint32_t mark;
  uint64_t token;
  uint32_t lifeMs;
};

// Opens the sockets a few at a time, sends one packet from each, and reports one FanEvent: which of them the first right
// probe came to, or that none did in its lifetime. By then all are closed.
class PortFan final : public EventSource {
 public:
  static constexpr uint32_t maxSockets = 512;
  static constexpr uint32_t maxLifeMs = 60'000;

  // Throws Failure (socket).
  PortFan(const FanOptions& options, EventSink sink);

  int fd() const override { return epoll_.get(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override;
  void onDeadline(Clock::time_point now) override;

  size_t openSockets() const { return sockets_.size(); }

 private:
  bool openOne();
  void openSome(Clock::time_point now);
  void finish(uint16_t localPort, uint16_t outsidePort);

  FanOptions options_;
  EventSink sink_;
  Fd epoll_;
  std::vector<Fd> sockets_;
  uint32_t tried_ = 0;
  bool done_ = false;
  Clock::time_point next_;
  Clock::time_point end_;
};

}  // namespace corax
