#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/kernel.h"
#include "core/rtnl/decode.h"
#include "core/rtnl/encode.h"
#include "core/rtnl/jobs.h"

namespace corax {
namespace {

template <typename T>
void keep(std::optional<T>&& decoded, std::vector<T>& into) {
  if (decoded) into.push_back(std::move(*decoded));
}

Job::Step progress(bool done) { return done ? Job::Step::done : Job::Step::more; }

}  // namespace

Job::Step LinksJob::step(Kernel& kernel) {
  return progress(dump_.advance(
      kernel.route(), "RTM_GETLINK", encodeLinkDump, [&] { links.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.type == RTM_NEWLINK) keep(decodeLink(message), links);
      }));
}

Job::Step AddressesJob::step(Kernel& kernel) {
  return progress(dump_.advance(
      kernel.route(), "RTM_GETADDR", encodeAddressDump, [&] { addresses.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.type == RTM_NEWADDR) keep(decodeAddress(message), addresses);
      }));
}

Job::Step RulesJob::step(Kernel& kernel) {
  return progress(dump_.advance(
      kernel.route(), "RTM_GETRULE", encodeRuleDump, [&] { rules.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.type == RTM_NEWRULE) keep(decodeRule(message), rules);
      }));
}

bool RoutesJob::readFamily(NetlinkSocket& socket, uint8_t family) {
  try {
    return dump_.advance(
        socket, "RTM_GETROUTE table " + std::to_string(table_),
        [&](MessageBatch& batch) { encodeRouteDump(batch, family, table_); }, [&] { routes.truncate(before_); },
        [&](const NetlinkMessage& message) {
          if (message.type != RTM_NEWROUTE) return;
          const std::optional<Route> route = decodeRoute(message);
          // Kernels without strict checking dump all tables.
          if (!route || route->table != table_) return;
          if (!defaultsOnly_ || route->destination.length == 0) routes.add(*route);
        });
  } catch (const Failure& failure) {
    // Nobody made this table yet (ENOENT), or the kernel has no IPv6: no routes.
    if (failure.number() != ENOENT && failure.number() != EOPNOTSUPP && failure.number() != EAFNOSUPPORT) throw;
    routes.truncate(before_);
    return true;
  }
}

Job::Step RoutesJob::step(Kernel& kernel) {
  if (!readFamily(kernel.route(), ipv4Done_ ? AF_INET6 : AF_INET)) return Step::more;
  if (std::exchange(ipv4Done_, true)) return Step::done;
  dump_ = Dump();
  before_ = routes.count();
  return Step::more;
}

Job::Step RouteToJob::step(Kernel& kernel) {
  MessageBatch batch;
  encodeRouteGet(batch, destination_, fwmark_);
  const Ack ack = kernel.route().exchange(batch, [&](const NetlinkMessage& message) {
    if (message.type == RTM_NEWROUTE) route = decodeRoute(message);
  })[0];
  const std::string subject = "RTM_GETROUTE " + destination_.text();
  if (ack.error != 0) throw Failure::system(FailureCode::netlink, subject, ack.error, ack.extAck);
  if (!route) throw Failure::system(FailureCode::netlink, subject, EBADMSG);
  return Step::done;
}

Job::Step WatchNetworkJob::step(Kernel& kernel) {
  kernel.watchNetwork();
  return Step::done;
}

}  // namespace corax
