#include <algorithm>

#include "core/handshake_tap.h"

namespace corax {

HandshakeWatch::HandshakeWatch(std::vector<uint16_t> ports, std::atomic<uint64_t>& unanswered, EventSink sink)
    : ports_(std::move(ports)), unanswered_(unanswered), sink_(std::move(sink)) {}

void HandshakeWatch::take(const HandshakePacket& packet, bool outgoing, int64_t stamp, Clock::time_point now) {
  // The filter passes what has one of the ports at either end.
  if (!isOwn(outgoing ? packet.sourcePort : packet.destinationPort)) return;
  own_.expire(now);
  unanswered_ += others_.expire(now);
  const in_addr remote = outgoing ? packet.destination : packet.source;
  const uint16_t port = outgoing ? packet.destinationPort : packet.sourcePort;
  if (packet.isInitiation) {
    (outgoing ? own_ : others_).begin({remote, port, packet.sender}, stamp, now);
    return;
  }
  const auto begun = (outgoing ? others_ : own_).end({remote, port, packet.receiver});
  if (!begun) return;
  if (outgoing) answered(now);
  else ended(packet, stamp - *begun, now);
}

void HandshakeWatch::ended(const HandshakePacket& packet, int64_t tookNs, Clock::time_point now) {
  // The clock was set in between.
  if (tookNs < 0 || tookNs > std::chrono::nanoseconds(patience).count()) return;
  if (now - windowStart_ >= std::chrono::seconds(1)) {
    windowStart_ = now;
    toldInWindow_ = 0;
  }
  if (toldInWindow_++ >= maxToldPerSecond) return;
  sink_(HandshakeEvent{packet.source, packet.sourcePort, static_cast<double>(tookNs) / 1e6});
}

void HandshakeWatch::answered(Clock::time_point now) {
  answeredWaits_ = true;
  if (!toldAnswered_ || now - *toldAnswered_ >= tellEvery) onDeadline(now);
}

std::optional<Clock::time_point> HandshakeWatch::deadline() const {
  std::optional<Clock::time_point> earliest = others_.next();
  if (answeredWaits_ && toldAnswered_) {
    const auto at = *toldAnswered_ + tellEvery;
    earliest = earliest ? std::min(*earliest, at) : at;
  }
  return earliest;
}

void HandshakeWatch::onDeadline(Clock::time_point now) {
  unanswered_ += others_.expire(now);
  if (!answeredWaits_ || (toldAnswered_ && now - *toldAnswered_ < tellEvery)) return;
  answeredWaits_ = false;
  toldAnswered_ = now;
  sink_(AnsweredEvent{});
}

bool HandshakeWatch::isOwn(uint16_t port) const {
  return std::find(ports_.begin(), ports_.end(), port) != ports_.end();
}

}  // namespace corax
