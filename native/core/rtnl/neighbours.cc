#include "core/rtnl/neighbours.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "core/kernel.h"
#include "core/netlink/attribute_reader.h"
#include "core/rtnl/decode.h"
#include "core/rtnl/jobs.h"

namespace corax {
namespace {

// Class E (RFC 1112 4): nobody has it but raven's overlay.
constexpr uint8_t overlayNet = 240;

}  // namespace

void encodeNeighbour(MessageBatch& batch, const NeighbourChange& op, uint32_t ifindex) {
  batch.begin(op.remove ? RTM_DELNEIGH : RTM_NEWNEIGH, op.remove ? uint16_t{0} : uint16_t{NLM_F_CREATE | NLM_F_REPLACE});
  ndmsg header{};
  header.ndm_family = op.bridge ? uint8_t{AF_BRIDGE} : op.ip.addressFamily();
  header.ndm_ifindex = static_cast<int>(ifindex);
  header.ndm_state = op.bridge ? uint16_t{NUD_PERMANENT | NUD_NOARP} : uint16_t{NUD_PERMANENT};
  // The device's own table, and not that of a bridge above it.
  header.ndm_flags = op.bridge ? uint8_t{NTF_SELF} : uint8_t{0};
  batch.header(header);
  batch.attribute(NDA_DST, op.ip.view());
  batch.attribute(NDA_LLADDR, op.mac.view());
  batch.end();
}

void encodeNeighbourDump(MessageBatch& batch, uint8_t family, uint32_t ifindex) {
  batch.begin(RTM_GETNEIGH, 0);
  ndmsg header{};
  header.ndm_family = family;
  batch.header(header);
  batch.integer<uint32_t>(NDA_IFINDEX, ifindex);
  batch.end();
}

std::optional<Neighbour> decodeNeighbour(const NetlinkMessage& message) {
  const auto header = readHeader<ndmsg>(message.payload);
  if (header.ndm_family != AF_BRIDGE && header.ndm_family != AF_INET) return std::nullopt;
  Neighbour neighbour;
  neighbour.ifindex = static_cast<uint32_t>(header.ndm_ifindex);
  neighbour.bridge = header.ndm_family == AF_BRIDGE;
  neighbour.permanent = (header.ndm_state & NUD_PERMANENT) != 0;
  std::optional<Mac> mac;
  std::optional<Ip> ip;
  eachAttribute(after(message.payload, sizeof header), [&](const Attribute& attribute) {
    if (attribute.type == NDA_LLADDR) mac = Mac::from(attribute.value);
    if (attribute.type == NDA_DST) ip = Ip::from(attribute.value);
  });
  if (!mac || !ip) return std::nullopt;
  neighbour.mac = *mac;
  neighbour.ip = *ip;
  return neighbour;
}

bool concernsOverlay(const NetlinkMessage& message) {
  const auto header = readHeader<ndmsg>(message.payload);
  // The kernel does not say who asked for a change of an FDB: what is new is mostly our own.
  if (header.ndm_family == AF_BRIDGE) return message.type == RTM_DELNEIGH && decodeNeighbour(message).has_value();
  if (header.ndm_family != AF_INET) return false;
  bool ours = false;
  eachAttribute(after(message.payload, sizeof header), [&](const Attribute& attribute) {
    if (attribute.type == NDA_DST && attribute.value.size > 0) ours = attribute.value.data[0] == overlayNet;
  });
  return ours;
}

bool NeighboursJob::read(NetlinkSocket& socket, uint8_t family) {
  return dump_.advance(
      socket, "RTM_GETNEIGH " + device_,
      [&](MessageBatch& batch) { encodeNeighbourDump(batch, family, ifindex_); }, [&] { neighbours.resize(before_); },
      [&](const NetlinkMessage& message) {
        if (message.type != RTM_NEWNEIGH) return;
        const std::optional<Neighbour> found = decodeNeighbour(message);
        // Kernels without strict checking dump all devices.
        if (found && found->ifindex == ifindex_ && found->bridge == (family == AF_BRIDGE)) neighbours.push_back(*found);
      });
}

Job::Step NeighboursJob::step(Kernel& kernel) {
  NetlinkSocket& socket = kernel.route();
  if (ifindex_ == 0) {
    const std::optional<Link> link = getLink(socket, device_);
    if (!link) return Step::done;
    ifindex_ = link->index;
  }
  if (!read(socket, fdbDone_ ? AF_INET : AF_BRIDGE)) return Step::more;
  if (std::exchange(fdbDone_, true)) return Step::done;
  dump_ = Dump();
  before_ = neighbours.size();
  return Step::more;
}

}  // namespace corax
