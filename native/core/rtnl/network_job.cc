#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>

#include "core/kernel.h"
#include "core/rtnl/decode.h"
#include "core/rtnl/encode.h"
#include "core/rtnl/jobs.h"
#include "core/rtnl/neighbours.h"

namespace corax {
namespace {

// A slice: about a millisecond of the kernel's time, and errors for all of them fit the receive buffer.
constexpr size_t maxBatch = 128;

bool removes(const NetworkOp& op) {
  if (std::holds_alternative<LinkDelete>(op)) return true;
  if (const auto* address = std::get_if<AddressChange>(&op)) return address->remove;
  if (const auto* neighbour = std::get_if<NeighbourChange>(&op)) return neighbour->remove;
  if (const auto* route = std::get_if<RouteChange>(&op)) return route->remove;
  if (const auto* rule = std::get_if<RuleChange>(&op)) return rule->remove;
  return false;
}

// Does the error say that the kernel has no IPv6, where that makes no difference? There are no packets then that a
// rule would catch, and no route to remove; but a route that is to be is not.
bool needlessWithoutIpv6(const NetworkOp& op, int error) {
  if (const auto* rule = std::get_if<RuleChange>(&op)) return rule->rule.family == 6 && error == EAFNOSUPPORT;
  const auto* route = std::get_if<RouteChange>(&op);
  return route != nullptr && route->remove && route->destination.ip.family == 6 &&
         (error == EAFNOSUPPORT || error == EOPNOTSUPP);
}

// Is it already as the operation would have it?
bool harmless(const NetworkOp& op, int error) {
  if (needlessWithoutIpv6(op, error)) return true;
  if (removes(op)) return error == ENOENT || error == ESRCH || error == ENODEV || error == EADDRNOTAVAIL;
  return error == EEXIST && (std::holds_alternative<AddressChange>(op) || std::holds_alternative<RuleChange>(op));
}

const std::string* deviceOf(const NetworkOp& op) {
  if (const auto* address = std::get_if<AddressChange>(&op)) return &address->device;
  if (const auto* neighbour = std::get_if<NeighbourChange>(&op)) return &neighbour->device;
  const auto* route = std::get_if<RouteChange>(&op);
  const auto* link = std::get_if<LinkCreate>(&op);
  const std::string* device = route != nullptr ? &route->device : link != nullptr ? &link->link : nullptr;
  return device != nullptr && !device->empty() ? device : nullptr;
}

// Is the device that stands what the operation would have made?
bool sameLink(const Link& link, const LinkCreate& op) {
  if (link.kind != op.kind || link.ifId != op.ifId) return false;
  if (!op.vxlan) return true;
  const std::optional<Vxlan>& is = link.vxlan;
  return is && is->vni == op.vxlan->vni && is->port == op.vxlan->port && is->learning == op.vxlan->learning &&
         link.mac == op.mac;
}

}  // namespace

std::optional<Link> getLink(NetlinkSocket& socket, const std::string& name) {
  MessageBatch batch;
  encodeLinkGet(batch, name);
  std::optional<Link> link;
  const Ack ack = socket.exchange(batch, [&](const NetlinkMessage& message) {
    if (message.type == RTM_NEWLINK) link = decodeLink(message);
  })[0];
  if (ack.error != 0 && ack.error != ENODEV) {
    throw Failure::system(FailureCode::netlink, "RTM_GETLINK " + name, ack.error, ack.extAck);
  }
  return link;
}

Job::Step NetworkJob::step(Kernel& kernel) {
  NetlinkSocket& socket = kernel.route();
  batch_.clear();
  batched_.clear();
  while (next_ < ops_.size() && batch_.count() < maxBatch && append(socket, next_)) next_++;
  send(socket);
  return next_ < ops_.size() ? Step::more : Step::done;
}

bool NetworkJob::append(NetlinkSocket& socket, size_t index) {
  const NetworkOp& op = ops_[index];
  uint32_t ifindex = 0;
  if (const std::string* device = deviceOf(op)) {
    const auto known = devices_.find(*device);
    // Creating the device may be in the batch still.
    if (known == devices_.end() && !batch_.empty()) return false;
    ifindex = known != devices_.end() ? known->second : findDevice(socket, *device);
    if (ifindex == 0) {
      if (!removes(op)) results[index] = Failure::system(FailureCode::netlink, describe(op), ENODEV);
      return true;
    }
  }
  if (const auto* it = std::get_if<LinkCreate>(&op)) {
    devices_.erase(it->name);
    encodeLinkCreate(batch_, *it, ifindex);
  } else if (const auto* gone = std::get_if<LinkDelete>(&op)) {
    devices_.erase(gone->name);
    encodeLinkDelete(batch_, *gone);
  } else if (const auto* set = std::get_if<LinkSet>(&op)) {
    encodeLinkSet(batch_, *set);
  } else if (const auto* address = std::get_if<AddressChange>(&op)) {
    encodeAddress(batch_, *address, ifindex);
  } else if (const auto* neighbour = std::get_if<NeighbourChange>(&op)) {
    encodeNeighbour(batch_, *neighbour, ifindex);
  } else if (const auto* route = std::get_if<RouteChange>(&op)) {
    encodeRoute(batch_, *route, ifindex);
  } else if (const auto* rule = std::get_if<RuleChange>(&op)) {
    encodeRule(batch_, *rule);
  }
  batched_.push_back(index);
  return true;
}

uint32_t NetworkJob::findDevice(NetlinkSocket& socket, const std::string& name) {
  const std::optional<Link> link = getLink(socket, name);
  return devices_[name] = link ? link->index : 0;
}

void NetworkJob::send(NetlinkSocket& socket) {
  std::vector<Ack> acks;
  try {
    acks = socket.exchange(batch_);
  } catch (const Failure& failure) {
    if (failure.number() != ENOBUFS || batched_.size() < 2) throw;
    // An error's ACK was lost, nobody knows whose. Doing them again does no harm.
    const std::vector<size_t> again = std::exchange(batched_, {});
    for (const size_t index : again) {
      batch_.clear();
      batched_.clear();
      append(socket, index);
      if (batch_.empty()) continue;
      settle(socket, index, socket.exchange(batch_)[0]);
    }
    return;
  }
  for (size_t position = 0; position < acks.size(); position++) settle(socket, batched_[position], acks[position]);
}

void NetworkJob::settle(NetlinkSocket& socket, size_t index, const Ack& ack) {
  const NetworkOp& op = ops_[index];
  if (ack.error == 0 || harmless(op, ack.error)) return;
  if (const auto* it = std::get_if<LinkCreate>(&op); it != nullptr && ack.error == EEXIST) {
    const std::optional<Link> link = getLink(socket, it->name);
    if (link && sameLink(*link, *it)) return;
  }
  results[index] = Failure::system(FailureCode::netlink, describe(op), ack.error, ack.extAck);
}

}  // namespace corax
