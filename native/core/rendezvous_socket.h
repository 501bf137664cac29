// Small messages between the probe addresses of two gateways, on the relay plane's device.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/fd.h"

namespace corax {

struct RendezvousPlace {
  // The tunnel's.
  std::string device;
  // This node's own, and the port at both ends, in host byte order.
  in_addr address;
  uint16_t port;
};

struct RendezvousMessage {
  in_addr destination;
  std::vector<uint8_t> payload;
};

// Reports (RendezvousEvent) what comes in by the device alone, from and to the port: whoever is behind the tunnel's
// cryptokey routing has the source address that it says it has. It is read by a packet socket, before this node's own
// firewall, which may let in nothing but the tunnel's port; the UDP socket beside it sends, and keeps the kernel from
// answering with "port unreachable".
class RendezvousSocket final : public EventSource {
 public:
  static constexpr size_t maxPayload = 64;

  // Throws Failure (socket): ENODEV for a device that is not there, EADDRNOTAVAIL for an address that is not.
  RendezvousSocket(const RendezvousPlace& place, EventSink sink);
  ~RendezvousSocket() override;

  // By the device, whatever the routes say. One errno a message (0 = sent): EINVAL for a length out of range.
  std::vector<int> send(const std::vector<RendezvousMessage>& messages);

  // Is it still what it would be if it were opened now?
  bool fits(const RendezvousPlace& place) const;

  int fd() const override { return tap_.get(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
  void onDeadline(Clock::time_point) override {}

 private:
  struct ReceiveBuffers;

  RendezvousPlace place_;
  int ifindex_;
  Fd sender_;
  Fd tap_;
  EventSink sink_;
  std::unique_ptr<ReceiveBuffers> buffers_;
};

}  // namespace corax
