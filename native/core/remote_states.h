// What is known of the other ends by their probes: the path that they are on, and whether the kernel gets to see them.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "core/echo_admission.h"
#include "core/event_source.h"
#include "core/probe_types.h"

namespace corax {

// Anyone who can reach this node may send what looks like a probe, so only those are heard that this node probes in
// turn: by both addresses and the TOS, and by the device that their answers come in by. A pod that takes another's
// address comes in by another device than the tunnel's. The table is as large as the targets make it.
class RemoteStates {
 public:
  // Changes told in one second; what is beyond is not taken, so that the sender's next probe tells it.
  static constexpr uint32_t maxChangesPerSecond = 2'000;

  // A target on this path: what its far end says is told next, whatever was told before. One remove() each.
  void add(const ProbePath& path);
  void remove(const ProbePath& path);
  // Whether its far end's requests are delivered; nullptr where the path is no target's.
  EchoAdmission::Seen* echoes(const ProbePath& path);
  // An answer to a probe of ours, which nobody can make up who did not see it, came in by this device.
  void answered(const ProbePath& path, uint32_t ifindex);
  // True when the path is a target's, the device its own, and the state not the last one that was taken.
  bool update(const ProbePath& path, uint32_t ifindex, uint8_t state, Clock::time_point now);
  // What was taken was not told after all: the next one will be.
  void forget(const ProbePath& path);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    uint32_t targets = 0;
    // 0 = no answer yet.
    uint32_t ifindex = 0;
    std::optional<uint8_t> state;
    EchoAdmission::Seen echoes;
  };
  struct Hash {
    size_t operator()(const ProbePath& path) const;
  };

  bool mayTell(Clock::time_point now);

  std::unordered_map<ProbePath, Entry, Hash> entries_;
  Clock::time_point windowStart_{};
  uint32_t toldInWindow_ = 0;
};

}  // namespace corax
