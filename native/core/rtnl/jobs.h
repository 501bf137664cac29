// What Engine.network(), links(), addresses(), routes(), rules(), routeTo() and watchNetwork() do.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/job.h"
#include "core/netlink/dump.h"
#include "core/netlink/socket.h"
#include "core/rtnl/route_columns.h"
#include "core/rtnl/types.h"

namespace corax {

// Nothing where there is no such device.
std::optional<Link> getLink(NetlinkSocket& socket, const std::string& name);

// Operations in order, each on its own; as many in one send as do not depend on each other's answers.
class NetworkJob final : public Job {
 public:
  explicit NetworkJob(std::vector<NetworkOp> ops) : results(ops.size()), ops_(std::move(ops)) {}
  Step step(Kernel& kernel) override;

  // One an operation; nothing = success.
  std::vector<std::optional<Failure>> results;

 private:
  // False where the operation has to wait until what is in the batch was sent.
  bool append(NetlinkSocket& socket, size_t index);
  void send(NetlinkSocket& socket);
  void settle(NetlinkSocket& socket, size_t index, const Ack& ack);
  uint32_t findDevice(NetlinkSocket& socket, const std::string& name);

  std::vector<NetworkOp> ops_;
  size_t next_ = 0;
  MessageBatch batch_;
  // The operation of each message in the batch.
  std::vector<size_t> batched_;
  std::map<std::string, uint32_t> devices_;
};

class LinksJob final : public Job {
 public:
  Step step(Kernel& kernel) override;
  std::vector<Link> links;

 private:
  Dump dump_;
};

class AddressesJob final : public Job {
 public:
  Step step(Kernel& kernel) override;
  std::vector<Address> addresses;

 private:
  Dump dump_;
};

// IPv4's first.
class RoutesJob final : public Job {
 public:
  // defaultsOnly: those of prefix length 0.
  explicit RoutesJob(uint32_t table, bool defaultsOnly = false) : table_(table), defaultsOnly_(defaultsOnly) {}
  Step step(Kernel& kernel) override;
  uint32_t table() const { return table_; }
  RouteColumns routes;

 private:
  bool readFamily(NetlinkSocket& socket, uint8_t family);

  uint32_t table_;
  bool defaultsOnly_;
  Dump dump_;
  bool ipv4Done_ = false;
  // What was read before this family.
  size_t before_ = 0;
};

class RulesJob final : public Job {
 public:
  Step step(Kernel& kernel) override;
  std::vector<Rule> rules;

 private:
  Dump dump_;
};

class RouteToJob final : public Job {
 public:
  RouteToJob(Ip destination, std::optional<uint32_t> fwmark) : destination_(destination), fwmark_(fwmark) {}
  Step step(Kernel& kernel) override;
  std::optional<Route> route;

 private:
  Ip destination_;
  std::optional<uint32_t> fwmark_;
};

class WatchNetworkJob final : public Job {
 public:
  Step step(Kernel& kernel) override;
};

}  // namespace corax
