// Answers and notifications of NETLINK_XFRM. Nothing where the message is of no use to us; Failure EBADMSG where it
// lies about its lengths. Keys, which the kernel tells whoever may ask, are not looked at.
#pragma once

#include <optional>

#include "core/event.h"
#include "core/netlink/socket.h"
#include "core/xfrm/columns.h"

namespace corax {

// Without an algorithm it is none yet: it holds the place of one that the kernel asked for (then it has no SPI either),
// or the SPI that the key manager reserved.
std::optional<XfrmState> decodeXfrmState(const NetlinkMessage& message);
// Of the main type, and of no socket: those are their socket's, and nobody else can take them away.
std::optional<XfrmPolicy> decodeXfrmPolicy(const NetlinkMessage& message);
// MAPPING, EXPIRE (of an SA), ACQUIRE.
std::optional<XfrmEvent> decodeXfrmEvent(const NetlinkMessage& message);

}  // namespace corax
