#include "core/rtnl/watch.h"

#include <linux/rtnetlink.h>

#include <cerrno>

#include "core/netlink/attribute_reader.h"
#include "core/rtnl/decode.h"

namespace corax {
namespace {

// Bounded, so that a storm of changes cannot keep the thread from its probes.
constexpr int maxReads = 64;

bool concerns(const NetlinkMessage& message) {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return decodeLink(message).has_value();
    case RTM_NEWADDR:
    case RTM_DELADDR: return true;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const auto route = decodeRoute(message);
      return route && route->protocol != routeProtocol;
    }
    case RTM_NEWRULE:
    case RTM_DELRULE: {
      const auto rule = decodeRule(message);
      return rule && rule->protocol != routeProtocol;
    }
    default: return false;
  }
}

bool anyConcerns(Bytes datagram) {
  while (datagram.size > 0) {
    const auto header = readHeader<nlmsghdr>(datagram);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size) malformed("message length");
    if (concerns({header.nlmsg_type, header.nlmsg_flags,
                  {datagram.data + sizeof header, header.nlmsg_len - sizeof header}})) {
      return true;
    }
    const size_t step = NLMSG_ALIGN(static_cast<size_t>(header.nlmsg_len));
    datagram = step < datagram.size ? Bytes{datagram.data + step, datagram.size - step} : Bytes{};
  }
  return false;
}

}  // namespace

NetworkWatch::NetworkWatch(std::unique_ptr<Transport> transport, EventSink sink)
    : transport_(std::move(transport)), sink_(std::move(sink)), buffer_(32 << 10) {}

std::vector<unsigned> NetworkWatch::groups() {
  return {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
          RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};
}

void NetworkWatch::onReadable() {
  for (int reads = 0; reads < maxReads; reads++) {
    const ssize_t received = transport_->receive(buffer_.data(), buffer_.size());
    if (received == -EAGAIN) return;
    if (received == -ENOBUFS) {
      sink_(OverrunEvent{});
      continue;
    }
    // What cannot be read in full or made sense of may have been a change.
    bool changed = true;
    if (received >= 0) {
      try {
        changed = anyConcerns({buffer_.data(), static_cast<size_t>(received)});
      } catch (const Failure&) {
      }
    } else if (received != -EMSGSIZE) {
      throw Failure::system(FailureCode::netlink, "network events", static_cast<int>(-received));
    }
    if (changed && !due_) due_ = Clock::now() + coalesce;
  }
}

void NetworkWatch::onDeadline(Clock::time_point) {
  due_.reset();
  sink_(NetworkEvent{});
}

}  // namespace corax
