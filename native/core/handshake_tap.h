// How long WireGuard's handshakes take, seen from outside: not a packet is sent for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/event.h"
#include "core/event_source.h"
#include "core/fd.h"
#include "core/handshake_pairs.h"

namespace corax {

// Pairs initiations and responses, without a socket.
class HandshakeWatch {
 public:
  // WireGuard gives an initiation up after 5 s (REKEY_TIMEOUT) and sends another; it answers one at once.
  static constexpr auto patience = std::chrono::seconds(5);
  static constexpr auto ownPatience = std::chrono::seconds(1);
  // HandshakeEvents in one second; what is beyond is not told.
  static constexpr uint32_t maxToldPerSecond = 500;
  // AnsweredEvents are at least so far apart.
  static constexpr auto tellEvery = std::chrono::milliseconds(100);

  // `ports` are this node's; `unanswered` counts others' initiations that this node lets be.
  HandshakeWatch(std::vector<uint16_t> ports, std::atomic<uint64_t>& unanswered, EventSink sink);

  // `stamp`: Unix time in nanoseconds.
  void take(const HandshakePacket& packet, bool outgoing, int64_t stamp, Clock::time_point now);
  std::optional<Clock::time_point> deadline() const;
  void onDeadline(Clock::time_point now);
  // Initiations that wait.
  size_t size() const { return own_.size() + others_.size(); }

 private:
  bool isOwn(uint16_t port) const;
  void ended(const HandshakePacket& packet, int64_t tookNs, Clock::time_point now);
  void answered(Clock::time_point now);

  std::vector<uint16_t> ports_;
  std::atomic<uint64_t>& unanswered_;
  EventSink sink_;
  OpenHandshakes own_{patience};
  OpenHandshakes others_{ownPatience};
  Clock::time_point windowStart_{};
  uint32_t toldInWindow_ = 0;
  std::optional<Clock::time_point> toldAnswered_;
  bool answeredWaits_ = false;
};

// A packet socket on one device, for what comes in by it and what leaves by it, with the kernel's time stamps: an
// outgoing packet's is taken when the device gets it, after its queue. IPv4 only.
class HandshakeTap final : public EventSource {
 public:
  // Throws Failure (socket).
  HandshakeTap(int ifindex, std::vector<uint16_t> ports, std::atomic<uint64_t>& unanswered, EventSink sink);
  ~HandshakeTap() override;

  int ifindex() const { return ifindex_; }
  const std::vector<uint16_t>& ports() const { return ports_; }

  int fd() const override { return socket_.get(); }
  void onReadable() override;
  std::optional<Clock::time_point> deadline() const override { return watch_.deadline(); }
  void onDeadline(Clock::time_point now) override { watch_.onDeadline(now); }

 private:
  struct ReceiveBuffers;

  int ifindex_;
  std::vector<uint16_t> ports_;
  Fd socket_;
  HandshakeWatch watch_;
  std::unique_ptr<ReceiveBuffers> buffers_;
};

}  // namespace corax
