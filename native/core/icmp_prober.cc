#include "core/icmp_prober.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "core/failure.h"
#include "core/icmp_socket.h"

namespace corax {
namespace {

using std::chrono::milliseconds;

// Work of one call, so that the thread gets to its other sources in between.
constexpr int readRounds = 16;
constexpr Clock::duration grain = milliseconds(2);
constexpr int maxActions = 4096;
constexpr int maxSends = 1024;

uint64_t randomToken() {
  uint64_t token = 0;
  if (getrandom(&token, sizeof token, 0) != sizeof token)
    throw Failure::system(FailureCode::socket, "draw a random token", errno);
  return token;
}

}  // namespace

IcmpProber::IcmpProber(EventSink sink) : IcmpProber(std::move(sink), randomToken()) {}

IcmpProber::IcmpProber(EventSink sink, uint64_t token)
    : IcmpProber(std::move(sink), token, std::make_unique<IcmpSocket>(token), &Clock::now) {}

IcmpProber::IcmpProber(EventSink sink, uint64_t token, std::unique_ptr<ProbeSocket> socket, Now now)
    : sink_(std::move(sink)),
      token_(token),
      socket_(std::move(socket)),
      now_(std::move(now)),
      nextFirstSequence_(static_cast<uint32_t>(token >> 24)) {}

void IcmpProber::set(const std::vector<ProbeTarget>& targets) {
  size_t added = 0;
  for (const ProbeTarget& target : targets) {
    if (const char* problem = target.problem()) throw std::invalid_argument(problem);
    added += slots_.count(target.id) == 0 ? 1 : 0;
  }
  if (slots_.size() + added > maxTargets) throw std::length_error("more than 65536 probe targets");

  const Clock::time_point now = now_();
  for (const ProbeTarget& target : targets) {
    const auto found = slots_.find(target.id);
    if (found == slots_.end()) {
      add(target, now);
    } else {
      ProbeTargetState& state = *targets_[found->second];
      const ProbePath before = state.target().path();
      state.change(target, now);
      if (!(before == target.path())) {
        remoteStates_.remove(before);
        remoteStates_.add(target.path());
      }
      schedule(found->second);
    }
  }
}

void IcmpProber::add(const ProbeTarget& target, Clock::time_point now) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(targets_.size()));
    targets_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  // Far from where any target before it may be: an answer to a removed target's probe must not count for the
  // next one of the same id.
  nextFirstSequence_ += 2654435769u;
  targets_[slot] = std::make_unique<ProbeTargetState>(target, nextFirstSequence_, now);
  slots_.emplace(target.id, slot);
  remoteStates_.add(target.path());
  schedule(slot);
}

void IcmpProber::remove(const std::vector<uint32_t>& ids) {
  for (const uint32_t id : ids) {
    const auto found = slots_.find(id);
    if (found == slots_.end()) continue;
    const uint32_t slot = found->second;
    remoteStates_.remove(targets_[slot]->target().path());
    heap_.remove(slot);
    targets_[slot].reset();
    free_.push_back(slot);
    slots_.erase(found);
  }
}

ProbeColumns IcmpProber::snapshot() const {
  ProbeColumns columns;
  columns.reserve(slots_.size());
  for (const auto& target : targets_)
    if (target) target->report(columns);
  return columns;
}

std::optional<Clock::time_point> IcmpProber::deadline() const {
  if (heap_.empty()) return std::nullopt;
  // Rounded up, so that what is due at almost the same time is one wake-up and one system call.
  const Clock::duration due = heap_.time().time_since_epoch();
  return Clock::time_point((due + grain - Clock::duration(1)) / grain * grain);
}

// Answers come in the order in which the kernel took them, so what has been read tells up to when losses may be
// declared: a thread that was held up must not take for lost what waits in its socket.
void IcmpProber::read() {
  for (int round = 0; round < readRounds; ++round) {
    const Clock::time_point before = now_();
    const IncomingPacket* packets = nullptr;
    const size_t count = socket_->receive(packets);
    if (count == 0) {
      readUpTo_ = before;
      return;
    }
    const Clock::time_point now = now_();
    for (size_t i = 0; i < count; ++i) take(packets[i], now);
    const std::chrono::nanoseconds age(socket_->clock() - packets[count - 1].receivedAt);
    // The clock of receivedAt may be set; nothing is newer than now.
    readUpTo_ = std::max(readUpTo_, std::min(before, now - age));
  }
}

void IcmpProber::take(const IncomingPacket& packet, Clock::time_point now) {
  const auto probe = parseProbe(packet.data, packet.length);
  if (!probe) return;
  if (!probe->reply) {
    EchoAdmission::Seen* const echoes = remoteStates_.echoes({probe->destination, probe->source, probe->tos});
    if (echoes != nullptr) admission_.delivered(*echoes, now);
    hear(*probe, packet.ifindex, now);
    return;
  }
  if (probe->token != token_) return;
  const auto found = slots_.find(probe->target);
  if (found == slots_.end()) return;
  ProbeTargetState& state = *targets_[found->second];
  const ProbeTarget& target = state.target();
  if (probe->source.s_addr != target.destination.s_addr || probe->destination.s_addr != target.source.s_addr) return;
  if (probe->identifier != probeIdentifier(token_, target.tos)) return;
  if (!state.answered(probe->sequence, probe->packetSize, packet.receivedAt, now, sink_)) return;
  remoteStates_.answered(target.path(), packet.ifindex);
  schedule(found->second);
}

void IcmpProber::hear(const ReceivedProbe& request, uint32_t ifindex, Clock::time_point now) {
  if (request.token == token_) return;
  const ProbePath path{request.destination, request.source, request.tos};
  if (!remoteStates_.update(path, ifindex, request.state, now)) return;
  // Told once a change: what got lost on the way would be lost for good.
  if (!sink_(RemoteStateEvent{request.source, request.tos, request.state})) remoteStates_.forget(path);
}

void IcmpProber::tapped(const std::vector<TappedProbe>& requests) {
  // What the kernel has delivered of them by now is known first.
  read();
  const Clock::time_point now = now_();
  for (const auto& [request, ifindex] : requests) {
    EchoAdmission::Seen* const echoes = remoteStates_.echoes({request.destination, request.source, request.tos});
    if (request.token == token_ || echoes == nullptr) continue;
    hear(request, ifindex, now);
    admission_.arrived(*echoes, now);
    if (admission_.denied(*echoes, now)) answer(request);
  }
}

// As the kernel would (RFC 1122 3.2.2.6): to where it came from, with its TOS, so that it goes back the same way.
// One that cannot be sent is one that is lost.
void IcmpProber::answer(const ReceivedProbe& request) {
  OutgoingProbe reply{request.destination, request.source, request.tos, request.packetSize, encodeReply(request), 0, 0};
  socket_->send(&reply, 1);
}

void IcmpProber::onDeadline(Clock::time_point) {
  read();
  // After reading: what came in until now must not be overtaken by a time-out.
  const Clock::time_point now = now_();
  int sends = 0;
  for (int action = 0; action < maxActions && sends < maxSends; ++action) {
    if (heap_.empty() || heap_.time() > now) break;
    const uint32_t slot = heap_.slot();
    ProbeTargetState& state = *targets_[slot];
    state.expire(std::min(now, readUpTo_), now, sink_);
    if (state.sendDue(now)) {
      queue(slot);
      ++sends;
    } else {
      // A loss that is due but held back is looked at again once more has been read.
      const Clock::time_point next = state.nextAction();
      heap_.set(slot, next > now ? next : now + milliseconds(1));
    }
  }
  flush();
}

void IcmpProber::queue(uint32_t slot) {
  const ProbeTargetState& state = *targets_[slot];
  const ProbeTarget& target = state.target();
  const ProbeMessage message{token_, target.id, state.nextSequence(), target.state, target.tos};
  outgoing_[outgoingCount_] = {target.source, target.destination, target.tos, target.size, encodeProbe(message), 0, 0};
  outgoingSlots_[outgoingCount_++] = slot;
  // Out of the way until flush knows what became of it.
  heap_.set(slot, Clock::time_point::max());
  if (outgoingCount_ == ProbeSocket::batch) flush();
}

void IcmpProber::flush() {
  if (outgoingCount_ == 0) return;
  const Clock::time_point now = now_();
  const size_t tried = socket_->send(outgoing_.data(), outgoingCount_);
  probesSent_ += tried;
  for (size_t i = 0; i < outgoingCount_; ++i) {
    ProbeTargetState& state = *targets_[outgoingSlots_[i]];
    if (i >= tried)
      state.defer(now);
    else if (outgoing_[i].error != 0)
      state.failed(now);
    else
      state.sent(now, outgoing_[i].sentAt);
    schedule(outgoingSlots_[i]);
  }
  outgoingCount_ = 0;
}

}  // namespace corax
