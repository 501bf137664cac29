// Reports that the network changed: links and addresses, and routes, rules and
// entries of an overlay (raven0) that somebody else changed.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/netlink/notifications.h"

namespace corax {

class NetworkWatch final : public EventSource {
 public:
  // Changes come in bursts; one report a burst.
  static constexpr std::chrono::milliseconds coalesce{50};

  // ownPort: the port id of the socket that makes our own changes, 0 for none; asked anew each time. Who made a change
  // is told by it, and not by whose the route is: that others delete ours is what matters most.
  NetworkWatch(std::unique_ptr<Transport> transport, std::function<uint32_t()> ownPort, EventSink sink);

  // The groups that the transport must be subscribed to.
  static std::vector<unsigned> groups();

  int fd() const override { return notifications_.fd(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return due_; }
  void onDeadline(Clock::time_point now) override;

 private:
  Notifications notifications_;
  std::function<uint32_t()> ownPort_;
  EventSink sink_;
  std::optional<Clock::time_point> due_;
};

}  // namespace corax
