// STUN beside the kernel's WireGuard: sends from, and listens on, UDP ports that another socket holds.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/fd.h"

namespace corax {

// A UDP packet to send; ports in host byte order.
struct RawDatagram {
  static constexpr size_t maxPayload = 1472;

  uint16_t sourcePort;
  in_addr destination;
  uint16_t destinationPort;
  // IP TTL, 1–255.
  uint8_t ttl;
  // At most maxPayload bytes.
  std::vector<uint8_t> payload;
};

// A raw IPPROTO_UDP socket. It reports (RawEvent) STUN Binding responses (RFC 8489 section 5) to `ports`, each also
// delivered to whoever holds the port. The payload is the network's word, unchecked beyond that, and so is the UDP
// checksum: see udp_packet.h.
class RawUdp final : public EventSource {
 public:
  static constexpr size_t maxPorts = 64;

  // Opens the socket. `mark` (SO_MARK, 0 = none) goes on what it sends. Throws Failure (socket), and
  // std::invalid_argument for no port, port 0 or more than maxPorts.
  RawUdp(const std::vector<uint16_t>& ports, uint32_t mark, EventSink sink);
  ~RawUdp() override;

  // Sends now; one errno a packet (0 = sent): EINVAL for a TTL, port or length out of range, else the kernel's.
  std::vector<int> send(const std::vector<RawDatagram>& packets);

  int fd() const override { return socket_.get(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
  void onDeadline(Clock::time_point) override {}

 private:
  struct ReceiveBuffers;

  Fd socket_;
  uint32_t mark_;
  EventSink sink_;
  std::unique_ptr<ReceiveBuffers> buffers_;
};

}  // namespace corax
