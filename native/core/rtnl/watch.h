// Reports that the network changed: links, addresses, routes or rules that are not ours.
#pragma once

#include <memory>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/netlink/transport.h"

namespace corax {

class NetworkWatch final : public EventSource {
 public:
  // Changes come in bursts; one report a burst.
  static constexpr std::chrono::milliseconds coalesce{50};

  NetworkWatch(std::unique_ptr<Transport> transport, EventSink sink);

  // The groups that the transport must be subscribed to.
  static std::vector<unsigned> groups();

  int fd() const override { return transport_->fd(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return due_; }
  void onDeadline(Clock::time_point now) override;

 private:
  std::unique_ptr<Transport> transport_;
  EventSink sink_;
  std::vector<uint8_t> buffer_;
  std::optional<Clock::time_point> due_;
};

}  // namespace corax
