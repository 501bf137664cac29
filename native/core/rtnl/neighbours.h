// Neighbours of a device: who has an address there (ARP), and for a VXLAN device behind which host a MAC is (FDB).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/job.h"
#include "core/netlink/dump.h"
#include "core/netlink/message_batch.h"
#include "core/netlink/socket.h"
#include "core/rtnl/types.h"

namespace corax {

void encodeNeighbour(MessageBatch& batch, const NeighbourChange& op, uint32_t ifindex);
// family: AF_BRIDGE for the FDB, AF_INET for ARP.
void encodeNeighbourDump(MessageBatch& batch, uint8_t family, uint32_t ifindex);

// Nothing where it is of another family, or has no MAC or address to it (unresolved, or a bridge's own).
std::optional<Neighbour> decodeNeighbour(const NetlinkMessage& message);

// Is it about an entry of raven's kind: one that an FDB has lost, or an address of 240.0.0.0/8? Others come and go all
// the time. Throws Failure EBADMSG.
bool concernsOverlay(const NetlinkMessage& message);

// FDB first; empty where there is no such device.
class NeighboursJob final : public Job {
 public:
  explicit NeighboursJob(std::string device) : device_(std::move(device)) {}
  Step step(Kernel& kernel) override;
  std::vector<Neighbour> neighbours;

 private:
  bool read(NetlinkSocket& socket, uint8_t family);

  std::string device_;
  uint32_t ifindex_ = 0;
  Dump dump_;
  bool fdbDone_ = false;
  // What was read before this family.
  size_t before_ = 0;
};

}  // namespace corax
