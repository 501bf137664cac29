// Reports what IPsec's key manager has to know: holes that moved, SAs that expire, SAs that are wanted.
#pragma once

#include <memory>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/netlink/notifications.h"

namespace corax {

class XfrmWatch final : public EventSource {
 public:
  XfrmWatch(std::unique_ptr<Transport> transport, EventSink sink);

  // The groups that the transport must be subscribed to.
  static std::vector<unsigned> groups();

  int fd() const override { return notifications_.fd(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
  void onDeadline(Clock::time_point) override {}

 private:
  Notifications notifications_;
  EventSink sink_;
};

}  // namespace corax
