#include "core/rtnl/watch.h"

#include <linux/rtnetlink.h>

#include "core/rtnl/decode.h"
#include "core/rtnl/neighbours.h"

namespace corax {
namespace {

// ours: this process asked for it.
bool concerns(const NetlinkMessage& message, bool ours) {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return decodeLink(message).has_value();
    case RTM_NEWADDR:
    case RTM_DELADDR: return true;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: return !ours && decodeRoute(message).has_value();
    case RTM_NEWRULE:
    case RTM_DELRULE: return !ours && decodeRule(message).has_value();
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: return !ours && concernsOverlay(message);
    default: return false;
  }
}

}  // namespace

NetworkWatch::NetworkWatch(std::unique_ptr<Transport> transport, std::function<uint32_t()> ownPort, EventSink sink)
    : notifications_(std::move(transport)), ownPort_(std::move(ownPort)), sink_(std::move(sink)) {}

std::vector<unsigned> NetworkWatch::groups() {
  return {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
          RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,   RTNLGRP_NEIGH};
}

void NetworkWatch::onReadable() {
  const auto changed = [this] {
    if (!due_) due_ = Clock::now() + coalesce;
  };
  notifications_.read({[&](Bytes datagram) {
                         const uint32_t ownPort = ownPort_();
                         eachMessage(datagram, [&](const NetlinkMessage& message, uint32_t port) {
                           // Port 0 is the kernel's own doing.
                           if (concerns(message, port != 0 && port == ownPort)) changed();
                         });
                       },
                       // It may have been a change.
                       changed, [this] { sink_(OverrunEvent{}); }});
}

void NetworkWatch::onDeadline(Clock::time_point) {
  due_.reset();
  sink_(NetworkEvent{});
}

}  // namespace corax
