// Requests of NETLINK_ROUTE, each one message of a batch.
#pragma once

#include <optional>
#include <string>

#include "core/netlink/message_batch.h"
#include "core/rtnl/types.h"

namespace corax {

// linkIndex 0: no device below.
void encodeLinkCreate(MessageBatch& batch, const LinkCreate& op, uint32_t linkIndex);
void encodeLinkDelete(MessageBatch& batch, const LinkDelete& op);
void encodeLinkSet(MessageBatch& batch, const LinkSet& op);
void encodeLinkGet(MessageBatch& batch, const std::string& name);
void encodeAddress(MessageBatch& batch, const AddressChange& op, uint32_t ifindex);
// ifindex 0: no device.
void encodeRoute(MessageBatch& batch, const RouteChange& op, uint32_t ifindex);
void encodeRule(MessageBatch& batch, const RuleChange& op);
void encodeRouteGet(MessageBatch& batch, const Ip& destination, std::optional<uint32_t> fwmark);

// Dump requests; both take AF_INET, AF_INET6 or AF_UNSPEC.
void encodeLinkDump(MessageBatch& batch);
void encodeAddressDump(MessageBatch& batch);
void encodeRouteDump(MessageBatch& batch, uint8_t family, uint32_t table);
void encodeRuleDump(MessageBatch& batch);

// "RTM_NEWROUTE 10.0.0.0/8": what an error of this operation is about.
std::string describe(const NetworkOp& op);

}  // namespace corax
