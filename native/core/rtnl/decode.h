// Answers and notifications of NETLINK_ROUTE. Nothing where the message is of no use to us (another
// family); Failure EBADMSG where it lies about its lengths.
#pragma once

#include <optional>

#include "core/netlink/socket.h"
#include "core/rtnl/types.h"

namespace corax {

std::optional<Link> decodeLink(const NetlinkMessage& message);
std::optional<Address> decodeAddress(const NetlinkMessage& message);
std::optional<Route> decodeRoute(const NetlinkMessage& message);
std::optional<Rule> decodeRule(const NetlinkMessage& message);

}  // namespace corax
