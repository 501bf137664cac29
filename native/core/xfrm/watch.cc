#include "core/xfrm/watch.h"

#include <linux/xfrm.h>

#include "core/xfrm/decode.h"

namespace corax {

XfrmWatch::XfrmWatch(std::unique_ptr<Transport> transport, EventSink sink)
    : notifications_(std::move(transport)), sink_(std::move(sink)) {}

std::vector<unsigned> XfrmWatch::groups() { return {XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING}; }

void XfrmWatch::onReadable() {
  // Unlike a change of the network, what cannot be read is lost: there is nothing to compare it with.
  const auto overrun = [this] { sink_(OverrunEvent{}); };
  notifications_.read({[this](Bytes datagram) {
                         eachMessage(datagram, [this](const NetlinkMessage& message, uint32_t) {
                           if (auto event = decodeXfrmEvent(message)) sink_(std::move(*event));
                         });
                       },
                       overrun, overrun});
}

}  // namespace corax
