#include "core/kernel.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <net/if.h>

#include <cerrno>

#include "core/handshake_tap.h"
#include "core/icmp_prober.h"
#include "core/netlink/attribute_reader.h"
#include "core/nft.h"
#include "core/probe_tap.h"
#include "core/raw_udp.h"
#include "core/rendezvous_socket.h"
#include "core/rtnl/watch.h"
#include "core/stun_tap.h"
#include "core/wireguard/encode.h"
#include "core/wireguard/history.h"
#include "core/xfrm/history.h"
#include "core/xfrm/watch.h"

namespace corax {
namespace {

NetlinkSocket::Open orKernel(NetlinkSocket::Open open, int protocol, std::vector<unsigned> groups = {}) {
  if (open) return open;
  return [protocol, groups = std::move(groups)] { return openNetlink(protocol, groups); };
}

NetlinkSocket::Options secret(NetlinkSocket::Options options) {
  options.secret = true;
  return options;
}

}  // namespace

Kernel::Kernel(Reactor& reactor, Counters& counters, EventSink sink, Sockets sockets)
    : reactor_(reactor),
      counters_(counters),
      sink_(std::move(sink)),
      watchOpen_(orKernel(sockets.watch, NETLINK_ROUTE, NetworkWatch::groups())),
      xfrmWatchOpen_(orKernel(sockets.xfrmWatch, NETLINK_XFRM, XfrmWatch::groups())),
      route_(orKernel(sockets.route, NETLINK_ROUTE), counters.route, sockets.options),
      generic_(orKernel(sockets.generic, NETLINK_GENERIC), counters.wireguard, secret(sockets.options)),
      // A dump tells the keys.
      xfrm_(orKernel(sockets.xfrm, NETLINK_XFRM), counters.xfrm, secret(sockets.options)),
      history_(std::make_unique<WgHistory>()),
      xfrmHistory_(std::make_unique<XfrmHistory>()) {}

Kernel::~Kernel() {
  if (watch_) reactor_.remove(*watch_);
  if (xfrmWatch_) reactor_.remove(*xfrmWatch_);
  if (raw_) reactor_.remove(*raw_);
  if (stunTap_) reactor_.remove(*stunTap_);
  if (handshakeTap_) reactor_.remove(*handshakeTap_);
  if (rendezvous_) reactor_.remove(*rendezvous_);
  for (const auto& [id, source] : openings_) reactor_.remove(*source);
  if (probeTap_) reactor_.remove(*probeTap_);
  if (prober_) reactor_.remove(*prober_);
}

uint16_t Kernel::wireguardFamily() {
  if (wireguardFamily_ != 0) return wireguardFamily_;
  MessageBatch batch;
  encodeFamilyGet(batch);
  const Ack ack = generic_.exchange(batch, [&](const NetlinkMessage& message) {
    if (message.type != GENL_ID_CTRL) return;
    eachAttribute(after(message.payload, sizeof(genlmsghdr)), [&](const Attribute& attribute) {
      if (attribute.type == CTRL_ATTR_FAMILY_ID) wireguardFamily_ = attribute.integer<uint16_t>();
    });
  })[0];
  if (ack.error != 0) {
    throw Failure::system(FailureCode::netlink, "generic netlink family wireguard", ack.error, ack.extAck);
  }
  if (wireguardFamily_ == 0) malformed("no family id");
  return wireguardFamily_;
}

void Kernel::watchNetwork() {
  if (watch_) return;
  auto watch = std::make_unique<NetworkWatch>(watchOpen_(), [this] { return route_.portId(); }, sink_);
  reactor_.add(*watch);
  watch_ = std::move(watch);
}

void Kernel::watchXfrm() {
  if (xfrmWatch_) return;
  auto watch = std::make_unique<XfrmWatch>(xfrmWatchOpen_(), sink_);
  reactor_.add(*watch);
  xfrmWatch_ = std::move(watch);
}

Nft& Kernel::nft() {
  if (!nft_) nft_ = std::make_unique<Nft>();
  return *nft_;
}

void Kernel::openRaw(std::unique_ptr<RawUdp> raw) {
  reactor_.add(*raw);
  if (raw_) reactor_.remove(*raw_);
  raw_ = std::move(raw);
}

void Kernel::tapStun(bool on) {
  if (on == (stunTap_ != nullptr)) return;
  if (on) {
    auto tap = std::make_unique<StunTap>(sink_);
    reactor_.add(*tap);
    stunTap_ = std::move(tap);
  } else {
    reactor_.remove(*stunTap_);
    stunTap_.reset();
  }
}

void Kernel::tapHandshakes(const std::string& device, const std::vector<uint16_t>& ports) {
  // A device that was made anew has another number.
  const auto ifindex = device.empty() ? 0 : static_cast<int>(if_nametoindex(device.c_str()));
  if (handshakeTap_ && handshakeTap_->ifindex() == ifindex && handshakeTap_->ports() == ports) return;
  if (handshakeTap_) reactor_.remove(*handshakeTap_);
  handshakeTap_.reset();
  if (device.empty()) return;
  if (ifindex == 0) throw Failure::system(FailureCode::socket, "tap " + device, ENODEV);
  auto tap = std::make_unique<HandshakeTap>(ifindex, ports, counters_.handshakesUnanswered, sink_);
  reactor_.add(*tap);
  handshakeTap_ = std::move(tap);
}

void Kernel::openRendezvous(const RendezvousPlace* place) {
  if (rendezvous_ && place != nullptr && rendezvous_->fits(*place)) return;
  // First closed: the new one may want its address and port.
  if (rendezvous_) reactor_.remove(*rendezvous_);
  rendezvous_.reset();
  if (place == nullptr) return;
  auto socket = std::make_unique<RendezvousSocket>(*place, sink_);
  reactor_.add(*socket);
  rendezvous_ = std::move(socket);
}

void Kernel::beginOpening(uint32_t id, std::unique_ptr<EventSource> source) {
  const auto refuse = [id](int number) {
    throw Failure::system(FailureCode::socket, "begin opening " + std::to_string(id), number);
  };
  if (openings_.count(id) > 0) refuse(EEXIST);
  if (openings_.size() >= maxOpenings) refuse(EBUSY);
  reactor_.add(*source);
  openings_.emplace(id, std::move(source));
}

void Kernel::endOpening(uint32_t id) {
  const auto found = openings_.find(id);
  if (found == openings_.end()) return;
  reactor_.remove(*found->second);
  openings_.erase(found);
}

uint64_t Kernel::probesSent() const { return lostProbersSent_ + (prober_ ? prober_->probesSent() : 0); }

void Kernel::lose(EventSource& source) {
  // One does not work without the other: both are opened again.
  if (&source == prober_.get() || &source == probeTap_.get()) {
    if (probeTap_) reactor_.remove(*probeTap_);
    reactor_.remove(*prober_);
    probeTap_.reset();
    lostProbersSent_ += prober_->probesSent();
    prober_.reset();
  }
  if (&source == watch_.get()) watch_.reset();
  if (&source == xfrmWatch_.get()) xfrmWatch_.reset();
  if (&source == raw_.get()) raw_.reset();
  if (&source == stunTap_.get()) stunTap_.reset();
  if (&source == handshakeTap_.get()) handshakeTap_.reset();
  if (&source == rendezvous_.get()) rendezvous_.reset();
  for (auto at = openings_.begin(); at != openings_.end();) at = at->second.get() == &source ? openings_.erase(at) : ++at;
}

IcmpProber& Kernel::prober() {
  if (!prober_) {
    auto prober = std::make_unique<IcmpProber>(sink_);
    auto tap = std::make_unique<ProbeTap>(
        prober->token(), [&prober = *prober](const std::vector<TappedProbe>& requests) { prober.tapped(requests); });
    reactor_.add(*prober);
    prober_ = std::move(prober);
    reactor_.add(*tap);
    probeTap_ = std::move(tap);
  }
  return *prober_;
}

}  // namespace corax
