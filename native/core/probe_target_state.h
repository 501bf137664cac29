// One target's probes: when the next is due, which are on their way, what became of the others. Pure: time
// comes in as an argument.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "core/event.h"
#include "core/event_source.h"
#include "core/probe_types.h"

namespace corax {

class ProbeTargetState {
 public:
  // Probes that are remembered, and over which the loss is counted.
  static constexpr uint32_t window = 32;

  ProbeTargetState(const ProbeTarget& target, uint32_t firstSequence, Clock::time_point now);

  const ProbeTarget& target() const { return target_; }
  // Takes new settings for the same id.
  void change(const ProbeTarget& target, Clock::time_point now);

  // When something is to be done next: a probe to send, or one to give up.
  Clock::time_point nextAction() const { return std::min(nextSend_, earliestDeadline_); }
  bool sendDue(Clock::time_point now) const;
  uint32_t nextSequence() const { return nextSequence_; }

  // The probe `nextSequence()` left; sentAt is Unix time in nanoseconds.
  void sent(Clock::time_point now, int64_t sentAt);
  // The kernel would not send it: it counts as lost after the fast interval.
  void failed(Clock::time_point now);
  // There was no room in the send buffer: tried again very soon, but not forever.
  void defer(Clock::time_point now);

  // Counts as lost what was due by `until`, and reports it.
  void expire(Clock::time_point until, Clock::time_point now, const EventSink& sink);
  // An answer with this sequence and packet size; false when it answers nothing (never sent, answered before,
  // too old, another size).
  bool answered(uint32_t sequence, uint32_t size, int64_t receivedAt, Clock::time_point now, const EventSink& sink);

  void report(ProbeColumns& columns) const;

 private:
  struct Probe {
    Clock::time_point sent;
    Clock::time_point deadline;
    int64_t sentAt;
    uint32_t sequence;
    uint32_t size;
    // none: never sent, or done with. failed: the kernel would not send it; pending too.
    enum class State : uint8_t { none, pending, failed, lost } state = State::none;
  };

  void reset();
  double phase() const;
  Clock::duration soon() const;
  Clock::time_point nextOnGrid(Clock::time_point now) const;
  void launch(Clock::time_point now, Clock::duration timeout, int64_t sentAt, Probe::State state);
  void lose(Probe& probe, Clock::time_point now, const EventSink& sink);
  void record(bool lost);
  void sample(double rttMs);
  Clock::duration timeout() const;
  void findEarliest();

  ProbeTarget target_;
  uint32_t nextSequence_;
  uint32_t sizeSetAt_;
  std::optional<Clock::time_point> lastSent_;
  Clock::time_point nextSend_;
  std::optional<Clock::time_point> deferredSince_;
  Clock::time_point earliestDeadline_;
  // Probe with sequence n at n modulo window; a bit each in pending_ for those that wait for their verdict.
  std::array<Probe, window> probes_{};
  uint32_t pending_;

  uint64_t sent_, received_, lost_, late_;
  double lastRttMs_, smoothedMs_, jitterMs_;
  int64_t lastReply_;
  uint32_t lostInRow_, answeredInRow_, answeredSize_;
  // Latest outcome in bit 0; 1 = lost.
  uint32_t outcomes_, outcomeCount_;
};

}  // namespace corax
