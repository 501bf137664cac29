#include "core/rtnl/watch.h"

#include <linux/rtnetlink.h>

#include <cerrno>

#include "core/netlink/attribute_reader.h"
#include "core/rtnl/decode.h"

namespace corax {
namespace {

// Bounded, so that a storm of changes cannot keep the thread from its probes.
constexpr int maxReads = 64;

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
    default: return false;
  }
}

bool anyConcerns(Bytes datagram, uint32_t ownPort) {
  while (datagram.size > 0) {
    const auto header = readHeader<nlmsghdr>(datagram);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size) malformed("message length");
    const NetlinkMessage message{header.nlmsg_type, header.nlmsg_flags,
                                 {datagram.data + sizeof header, header.nlmsg_len - sizeof header}};
    // Port 0 is the kernel's own doing.
    if (concerns(message, header.nlmsg_pid != 0 && header.nlmsg_pid == ownPort)) return true;
    const size_t step = NLMSG_ALIGN(static_cast<size_t>(header.nlmsg_len));
    datagram = step < datagram.size ? Bytes{datagram.data + step, datagram.size - step} : Bytes{};
  }
  return false;
}

}  // namespace

NetworkWatch::NetworkWatch(std::unique_ptr<Transport> transport, std::function<uint32_t()> ownPort, EventSink sink)
    : transport_(std::move(transport)), ownPort_(std::move(ownPort)), sink_(std::move(sink)), buffer_(32 << 10) {}

std::vector<unsigned> NetworkWatch::groups() {
  return {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
          RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};
}

void NetworkWatch::onReadable() {
  ssize_t received = 0;
  int errors = 0;
  for (int reads = 0; reads < maxReads; reads++) {
    received = transport_->receive(buffer_.data(), buffer_.size());
    if (received == -EAGAIN) return;
    // ENOBUFS says that messages were lost; after any other errno that may be so too.
    if (received < 0 && received != -EMSGSIZE) {
      sink_(OverrunEvent{});
      errors++;
      continue;
    }
    // What cannot be read in full or made sense of may have been a change.
    bool changed = true;
    try {
      if (received >= 0) changed = anyConcerns({buffer_.data(), static_cast<size_t>(received)}, ownPort_());
    } catch (const Failure&) {
    }
    if (changed && !due_) due_ = Clock::now() + coalesce;
  }
  // A socket that does nothing but fail would keep the thread busy for ever.
  if (errors == maxReads) throw Failure::system(FailureCode::netlink, "network events", static_cast<int>(-received));
}

void NetworkWatch::onDeadline(Clock::time_point) {
  due_.reset();
  sink_(NetworkEvent{});
}

}  // namespace corax
