// What jobs work with on the native thread: sockets opened when first needed, and what is kept between jobs.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/event.h"
#include "core/netlink/socket.h"
#include "core/reactor.h"

namespace corax {

class HandshakeTap;
class IcmpProber;
class NetworkWatch;
class Nft;
class ProbeTap;
class RawUdp;
class RendezvousSocket;
struct RendezvousPlace;
class StunTap;
class WgHistory;
class XfrmHistory;
class XfrmWatch;

struct Counters {
  NetlinkCounters route;
  NetlinkCounters wireguard;
  NetlinkCounters xfrm;
  // Peers in WG_CMD_SET_DEVICE messages, whatever the kernel said to them.
  std::atomic<uint64_t> wireguardPeers{0};
  std::atomic<uint64_t> probesSent{0};
  std::atomic<uint64_t> nftTransactions{0};
  // Initiations of others that this node has not answered.
  std::atomic<uint64_t> handshakesUnanswered{0};
};

class Kernel {
 public:
  // How to reach the kernel; what is empty is the real one.
  struct Sockets {
    NetlinkSocket::Open route;
    NetlinkSocket::Open generic;
    NetlinkSocket::Open xfrm;
    NetlinkSocket::Open watch;
    NetlinkSocket::Open xfrmWatch;
    NetlinkSocket::Options options;
  };

  Kernel(Reactor& reactor, Counters& counters, EventSink sink, Sockets sockets);
  ~Kernel();

  NetlinkSocket& route() { return route_; }
  NetlinkSocket& generic() { return generic_; }
  // Generic netlink's number for WireGuard, asked for once. Throws Failure ENOENT where there is no WireGuard.
  uint16_t wireguardFamily();
  // The number that was given is gone (module unloaded): ask again next time.
  void forgetWireguardFamily() { wireguardFamily_ = 0; }
  // The last snapshot of each device that was asked for changes.
  WgHistory& history() { return *history_; }

  // Throws Failure EPROTONOSUPPORT at the first use where there is no XFRM.
  NetlinkSocket& xfrm() { return xfrm_; }
  // The last snapshot of the SAs that was asked for changes.
  XfrmHistory& xfrmHistory() { return *xfrmHistory_; }

  // Starts to report NetworkEvent; again is no error.
  void watchNetwork();
  // Likewise XfrmEvent.
  void watchXfrm();

  Nft& nft();
  void openRaw(std::unique_ptr<RawUdp> raw);
  RawUdp* raw() { return raw_.get(); }
  // Open already, or closed already, is no error.
  void tapStun(bool on);
  // On this device from now on, in place of the one before; "" closes it. The same again is no error. Throws Failure
  // (socket), ENODEV for a device that is not there.
  void tapHandshakes(const std::string& device, const std::vector<uint16_t>& ports);
  // At this place from now on, instead of the one before; nullptr closes it. The same again is no error. Throws Failure
  // (socket).
  void openRendezvous(const RendezvousPlace* place);
  RendezvousSocket* rendezvous() { return rendezvous_.get(); }
  // A PortFan or a PortSpray, until it is ended; what is done already has to be ended too. Throws Failure (socket): EEXIST
  // for an id that is there, EBUSY where there are maxOpenings.
  static constexpr size_t maxOpenings = 16;
  void beginOpening(uint32_t id, std::unique_ptr<EventSource> source);
  // What is not there is no error.
  void endOpening(uint32_t id);
  IcmpProber& prober();
  bool hasProber() const { return prober_ != nullptr; }
  // By all probers that there were.
  uint64_t probesSent() const;

  // The reactor has given this source up: it is closed, and what needs it next opens another.
  void lose(EventSource& source);

  const EventSink& sink() const { return sink_; }
  Counters& counters() { return counters_; }

 private:
  Reactor& reactor_;
  Counters& counters_;
  EventSink sink_;
  NetlinkSocket::Open watchOpen_;
  NetlinkSocket::Open xfrmWatchOpen_;
  NetlinkSocket route_;
  NetlinkSocket generic_;
  NetlinkSocket xfrm_;
  uint16_t wireguardFamily_ = 0;
  std::unique_ptr<WgHistory> history_;
  std::unique_ptr<XfrmHistory> xfrmHistory_;
  std::unique_ptr<NetworkWatch> watch_;
  std::unique_ptr<XfrmWatch> xfrmWatch_;
  std::unique_ptr<Nft> nft_;
  std::unique_ptr<RawUdp> raw_;
  std::unique_ptr<StunTap> stunTap_;
  std::unique_ptr<HandshakeTap> handshakeTap_;
  std::unique_ptr<RendezvousSocket> rendezvous_;
  std::map<uint32_t, std::unique_ptr<EventSource>> openings_;
  std::unique_ptr<IcmpProber> prober_;
  std::unique_ptr<ProbeTap> probeTap_;
  uint64_t lostProbersSent_ = 0;
};

}  // namespace corax
