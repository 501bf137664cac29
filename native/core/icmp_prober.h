// Latency and loss of thousands of targets, by ICMP echo from one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/deadline_heap.h"
#include "core/echo_admission.h"
#include "core/event.h"
#include "core/event_source.h"
#include "core/probe_packet.h"
#include "core/probe_socket.h"
#include "core/probe_target_state.h"
#include "core/probe_types.h"
#include "core/remote_states.h"

namespace corax {

class IcmpProber final : public EventSource {
 public:
  static constexpr size_t maxTargets = 65'536;
  using Now = std::function<Clock::time_point()>;

  // Opens a raw ICMP socket. Throws Failure (socket).
  explicit IcmpProber(EventSink sink);
  // For tests: any token, socket and clock.
  IcmpProber(EventSink sink, uint64_t token, std::unique_ptr<ProbeSocket> socket, Now now);

  // Adds or changes targets, by id: counters and RTT stay where source, destination and tos stay; a new size
  // resets answeredSize only; new intervals hold at once. All or nothing: throws std::invalid_argument when
  // one is out of range, std::length_error beyond maxTargets.
  void set(const std::vector<ProbeTarget>& targets);
  // Unknown ids are no error.
  void remove(const std::vector<uint32_t>& ids);
  ProbeColumns snapshot() const;
  // Over all targets that ever were; those that the kernel refused count too.
  uint64_t probesSent() const { return probesSent_; }

  uint64_t token() const { return token_; }
  // Requests as a ProbeTap saw them come in. Where this node's firewall keeps them from the kernel, which would
  // answer, they are answered from here. Only who is probed in turn is heard.
  void tapped(const std::vector<TappedProbe>& requests);

  int fd() const override { return socket_->fd(); }
  void onReadable() override { read(); }
  std::optional<Clock::time_point> deadline() const override;
  void onDeadline(Clock::time_point now) override;

 private:
  IcmpProber(EventSink sink, uint64_t token);

  void read();
  void take(const IncomingPacket& packet, Clock::time_point now);
  void hear(const ReceivedProbe& request, uint32_t ifindex, Clock::time_point now);
  void answer(const ReceivedProbe& request);
  void add(const ProbeTarget& target, Clock::time_point now);
  void queue(uint32_t slot);
  void flush();
  void schedule(uint32_t slot) { heap_.set(slot, targets_[slot]->nextAction()); }

  EventSink sink_;
  uint64_t token_;
  std::unique_ptr<ProbeSocket> socket_;
  Now now_;
  // Slots of targets_; gaps are in free_.
  std::vector<std::unique_ptr<ProbeTargetState>> targets_;
  std::vector<uint32_t> free_;
  std::unordered_map<uint32_t, uint32_t> slots_;
  DeadlineHeap heap_;
  RemoteStates remoteStates_;
  EchoAdmission admission_;
  // Every answer that came in before this has been seen.
  Clock::time_point readUpTo_{};
  std::array<OutgoingProbe, ProbeSocket::batch> outgoing_;
  std::array<uint32_t, ProbeSocket::batch> outgoingSlots_;
  size_t outgoingCount_ = 0;
  uint32_t nextFirstSequence_;
  uint64_t probesSent_ = 0;
};

}  // namespace corax
