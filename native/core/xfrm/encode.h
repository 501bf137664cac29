// Requests of NETLINK_XFRM, each one message of a batch. What is deleted is named: there is no flush here.
#pragma once

#include <string>
#include <variant>

#include "core/ip.h"
#include "core/netlink/message_batch.h"
#include "core/xfrm/columns.h"

namespace corax {

struct XfrmStateId {
  Ip destination;
  // Host byte order.
  uint32_t spi = 0;
  uint8_t protocol = 0;
  XfrmMark mark;
};

struct XfrmPolicyId {
  uint8_t direction = 0;
  // Not 0: the kernel would go by the selector then.
  uint32_t index = 0;
  uint32_t ifId = 0;
  XfrmMark mark;
};

using XfrmDeletion = std::variant<XfrmStateId, XfrmPolicyId>;

void encodeXfrmStateDump(MessageBatch& batch);
void encodeXfrmPolicyDump(MessageBatch& batch);
void encodeXfrmDeletion(MessageBatch& batch, const XfrmDeletion& deletion);

// "XFRM_MSG_DELSA 192.0.2.1 spi 0x1001": what an error of this deletion is about.
std::string describe(const XfrmDeletion& deletion);

}  // namespace corax
