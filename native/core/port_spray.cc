#include "core/port_spray.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <random>

#include "core/failure.h"
#include "core/port_probe.h"

namespace corax {
namespace {

constexpr uint8_t usualTtl = 64;

// The order need not be secret, only each time another: the token is what is not to be guessed.
uint32_t seed() {
  uint32_t value;
  if (getrandom(&value, sizeof value, 0) != sizeof value)
    throw Failure::system(FailureCode::socket, "pick ports to probe", errno);
  return value;
}

std::vector<uint16_t> pick(uint16_t first, uint16_t last, uint32_t count) {
  std::vector<uint16_t> all(size_t{1} + last - first);
  std::iota(all.begin(), all.end(), first);
  std::mt19937 random(seed());
  std::vector<uint16_t> picked;
  std::sample(all.begin(), all.end(), std::back_inserter(picked), count, random);
  // A sample comes in the range's order.
  std::shuffle(picked.begin(), picked.end(), random);
  return picked;
}

}  // namespace

PortSpray::PortSpray(const SprayOptions& options, Send send, EventSink sink)
    : options_(options),
      send_(std::move(send)),
      sink_(std::move(sink)),
      ports_(pick(options.first, options.last, options.count)),
      next_(Clock::now()) {}

std::optional<Clock::time_point> PortSpray::deadline() const {
  return done_ ? std::nullopt : std::optional(next_);
}

void PortSpray::onDeadline(Clock::time_point now) {
  std::vector<RawDatagram> packets;
  for (uint32_t i = 0; i < atOnce && !ports_.empty(); ++i) {
    const uint16_t port = ports_.back();
    ports_.pop_back();
    const auto payload = portProbe(options_.token, port);
    packets.push_back({options_.sourcePort, options_.destination, port, usualTtl, {payload.begin(), payload.end()}});
  }
  const std::vector<int> errors = send_(packets);
  const auto failed = static_cast<uint32_t>(std::count_if(errors.begin(), errors.end(), [](int e) { return e != 0; }));
  failed_ += failed;
  sent_ += static_cast<uint32_t>(errors.size()) - failed;
  // From when it was due, so that a late turn does not slow it down; but never two at once to catch up.
  next_ = std::max(next_ + pause, now + pause / 2);
  if (!ports_.empty()) return;
  done_ = true;
  sink_(SprayEvent{options_.id, sent_, failed_});
}

}  // namespace corax
