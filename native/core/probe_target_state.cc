#include "core/probe_target_state.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace corax {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds minTimeout{200};
constexpr milliseconds maxTimeout{1000};
constexpr Clock::time_point never = Clock::time_point::max();
constexpr double noAnswer = std::numeric_limits<double>::quiet_NaN();

Clock::duration fromMs(double ms) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(ms));
}

double toMs(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

}  // namespace

ProbeTargetState::ProbeTargetState(const ProbeTarget& target, uint32_t firstSequence, Clock::time_point now)
    : target_(target), nextSequence_(firstSequence), sizeSetAt_(firstSequence) {
  reset();
  nextSend_ = now + soon();
}

void ProbeTargetState::reset() {
  for (Probe& probe : probes_) probe.state = Probe::State::none;
  pending_ = 0;
  earliestDeadline_ = never;
  lastSent_.reset();
  deferredSince_.reset();
  sent_ = received_ = lost_ = late_ = 0;
  lastRttMs_ = smoothedMs_ = jitterMs_ = noAnswer;
  lastReply_ = 0;
  lostInRow_ = answeredInRow_ = answeredSize_ = 0;
  outcomes_ = outcomeCount_ = 0;
}

void ProbeTargetState::change(const ProbeTarget& target, Clock::time_point now) {
  const ProbeTarget old = target_;
  target_ = target;
  if (!(old.path() == target.path())) {
    reset();
    sizeSetAt_ = nextSequence_;
    nextSend_ = now + soon();
    return;
  }
  if (old.size != target.size) {
    answeredSize_ = 0;
    sizeSetAt_ = nextSequence_;
  }
  if (lastSent_ && (old.intervalMs != target.intervalMs || old.fastIntervalMs != target.fastIntervalMs))
    nextSend_ = lostInRow_ > 0 ? std::max(now, *lastSent_ + milliseconds(target.fastIntervalMs)) : nextOnGrid(now);
  // The far end should hear of it soon: two ends on different paths halve a flow.
  if (old.state != target.state) nextSend_ = std::min(nextSend_, now + soon());
}

// Low-discrepancy (Weyl) sequence: ids that follow each other lie evenly in [0, 1).
double ProbeTargetState::phase() const { return static_cast<double>(target_.id * 2654435769u) / 4294967296.0; }

Clock::duration ProbeTargetState::soon() const {
  return fromMs(phase() * std::min(target_.fastIntervalMs, target_.intervalMs));
}

// The target's own instants, one an interval, of which the first lies half an interval or more after the last
// probe: so the spread survives whatever shifted a probe, and nothing bunches after a hold-up.
Clock::time_point ProbeTargetState::nextOnGrid(Clock::time_point now) const {
  const Clock::duration interval = milliseconds(target_.intervalMs);
  const Clock::duration offset = fromMs(phase() * target_.intervalMs);
  Clock::time_point after = now;
  if (lastSent_) after = std::max(after, *lastSent_ + interval / 2);
  const Clock::duration since = after.time_since_epoch() - offset;
  const auto turns = (since + interval - Clock::duration(1)) / interval;
  return Clock::time_point(turns * interval + offset);
}

bool ProbeTargetState::sendDue(Clock::time_point now) const {
  // The place of the next probe is taken only while losses are held back.
  return nextSend_ <= now && (pending_ >> (nextSequence_ % window) & 1) == 0;
}

void ProbeTargetState::launch(Clock::time_point now, Clock::duration timeout, int64_t sentAt, Probe::State state) {
  const uint32_t at = nextSequence_ % window;
  probes_[at] = {now, now + timeout, sentAt, nextSequence_, target_.size, state};
  pending_ |= 1u << at;
  earliestDeadline_ = std::min(earliestDeadline_, now + timeout);
  ++nextSequence_;
  ++sent_;
  lastSent_ = now;
  deferredSince_.reset();
  nextSend_ = lostInRow_ > 0 ? now + milliseconds(target_.fastIntervalMs) : nextOnGrid(now);
}

void ProbeTargetState::sent(Clock::time_point now, int64_t sentAt) {
  launch(now, timeout(), sentAt, Probe::State::pending);
}

void ProbeTargetState::failed(Clock::time_point now) {
  const Clock::duration fast = milliseconds(target_.fastIntervalMs);
  launch(now, std::min<Clock::duration>(fast, maxTimeout), 0, Probe::State::failed);
  nextSend_ = now + fast;
}

void ProbeTargetState::defer(Clock::time_point now) {
  if (!deferredSince_) deferredSince_ = now;
  // A plane whose probes never leave is not alive.
  if (now - *deferredSince_ >= maxTimeout) return failed(now);
  nextSend_ = now + milliseconds(2);
}

void ProbeTargetState::expire(Clock::time_point until, Clock::time_point now, const EventSink& sink) {
  if (earliestDeadline_ > until) return;
  // From the oldest on.
  for (uint32_t i = 0; i < window; ++i) {
    const uint32_t at = (nextSequence_ + i) % window;
    if ((pending_ >> at & 1) == 0 || probes_[at].deadline > until) continue;
    pending_ &= ~(1u << at);
    lose(probes_[at], now, sink);
  }
  findEarliest();
}

void ProbeTargetState::lose(Probe& probe, Clock::time_point now, const EventSink& sink) {
  // What was never sent cannot be answered late.
  probe.state = probe.state == Probe::State::failed ? Probe::State::none : Probe::State::lost;
  ++lost_;
  ++lostInRow_;
  answeredInRow_ = 0;
  record(true);
  nextSend_ = std::max(now, *lastSent_ + milliseconds(target_.fastIntervalMs));
  if (lostInRow_ == 1 || lostInRow_ == 3) sink(ProbeEvent{target_.id, lostInRow_, 0, std::nullopt});
}

bool ProbeTargetState::answered(uint32_t sequence, uint32_t size, int64_t receivedAt, Clock::time_point now,
                                const EventSink& sink) {
  const uint32_t at = sequence % window;
  Probe& probe = probes_[at];
  const bool late = probe.state == Probe::State::lost;
  if (probe.sequence != sequence || probe.size != size || (!late && probe.state != Probe::State::pending))
    return false;
  probe.state = Probe::State::none;

  // Kernel stamps are exact but on a clock that may be set; what the thread saw is late but cannot jump, and is
  // the most that it can have been.
  const double mostMs = toMs(now - probe.sent);
  const double stampedMs = static_cast<double>(receivedAt - probe.sentAt) / 1e6;
  sample(stampedMs >= 0 && stampedMs <= mostMs ? stampedMs : mostMs);
  lastReply_ = std::max(lastReply_, receivedAt);
  if (static_cast<int32_t>(sequence - sizeSetAt_) >= 0) answeredSize_ = std::max(answeredSize_, size);
  if (late) {
    ++late_;
    return true;
  }

  pending_ &= ~(1u << at);
  findEarliest();
  const bool first = received_ == 0 || lostInRow_ > 0;
  ++received_;
  ++answeredInRow_;
  record(false);
  if (lostInRow_ > 0) {
    lostInRow_ = 0;
    nextSend_ = nextOnGrid(now);
  }
  if (first) sink(ProbeEvent{target_.id, 0, answeredInRow_, lastRttMs_});
  return true;
}

void ProbeTargetState::record(bool lost) {
  outcomes_ = outcomes_ << 1 | (lost ? 1 : 0);
  outcomeCount_ = std::min(outcomeCount_ + 1, window);
}

// RFC 6298 section 2, (2.2) and (2.3). Late answers count too: where the path became longer than the time-out
// they alone can lengthen it.
void ProbeTargetState::sample(double rttMs) {
  lastRttMs_ = rttMs;
  if (std::isnan(smoothedMs_)) {
    smoothedMs_ = rttMs;
    jitterMs_ = rttMs / 2;
    return;
  }
  jitterMs_ += (std::abs(smoothedMs_ - rttMs) - jitterMs_) / 4;
  smoothedMs_ += (rttMs - smoothedMs_) / 8;
}

Clock::duration ProbeTargetState::timeout() const {
  if (std::isnan(smoothedMs_)) return maxTimeout;
  return std::clamp<Clock::duration>(fromMs(2 * smoothedMs_ + 4 * jitterMs_), minTimeout, maxTimeout);
}

void ProbeTargetState::findEarliest() {
  earliestDeadline_ = never;
  for (uint32_t rest = pending_; rest != 0; rest &= rest - 1) {
    const Probe& probe = probes_[static_cast<size_t>(__builtin_ctz(rest))];
    earliestDeadline_ = std::min(earliestDeadline_, probe.deadline);
  }
}

void ProbeTargetState::report(ProbeColumns& columns) const {
  columns.ids.push_back(target_.id);
  columns.sent.push_back(static_cast<double>(sent_));
  columns.received.push_back(static_cast<double>(received_));
  columns.lost.push_back(static_cast<double>(lost_));
  columns.late.push_back(static_cast<double>(late_));
  columns.lastRttMs.push_back(lastRttMs_);
  columns.smoothedRttMs.push_back(smoothedMs_);
  columns.jitterMs.push_back(jitterMs_);
  columns.lastReply.push_back(static_cast<double>(lastReply_) / 1e9);
  columns.lostInRow.push_back(lostInRow_);
  columns.answeredInRow.push_back(answeredInRow_);
  columns.answeredSize.push_back(answeredSize_);
  const int losses = __builtin_popcount(outcomes_);
  columns.loss.push_back(outcomeCount_ == 0 ? 0 : static_cast<double>(losses) / outcomeCount_);
}

}  // namespace corax
