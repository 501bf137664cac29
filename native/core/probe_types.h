// What the prober is asked for and what it answers; src/native/packets.ts ProbeTarget and ProbeSnapshot.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace corax {

// Where probes go and by which plane; a far end's probes on the same path have the addresses the other way round.
struct ProbePath {
  in_addr source;
  in_addr destination;
  uint8_t tos;

  bool operator==(const ProbePath& other) const {
    return source.s_addr == other.source.s_addr && destination.s_addr == other.destination.s_addr && tos == other.tos;
  }
};

struct ProbeTarget {
  // 20 probes can be on their way within the longest time-out: fewer than a target remembers.
  static constexpr uint32_t minIntervalMs = 50;
  static constexpr uint32_t maxIntervalMs = 3'600'000;
  static constexpr uint32_t minSize = 64;
  static constexpr uint32_t maxSize = 65'535;

  uint32_t id;
  in_addr source;
  in_addr destination;
  // IP TOS byte; the two ECN bits (RFC 3168 section 5) must be 0.
  uint8_t tos;
  uint32_t intervalMs;
  // At most intervalMs.
  uint32_t fastIntervalMs;
  // Bytes of the whole IP packet.
  uint32_t size;
  uint8_t state;

  ProbePath path() const { return {source, destination, tos}; }
  // What is out of range, in words, or nullptr.
  const char* problem() const;
};

// One entry a target, as columns.
struct ProbeColumns {
  std::vector<uint32_t> ids;
  std::vector<double> sent, received, lost;
  // Answers to probes already counted as lost; they stay lost.
  std::vector<double> late;
  // Milliseconds; NaN before the first answer.
  std::vector<double> lastRttMs, smoothedRttMs, jitterMs;
  // Unix time in seconds; 0 = none.
  std::vector<double> lastReply;
  std::vector<uint32_t> lostInRow, answeredInRow, answeredSize;
  // Fraction of the latest up to 32 probes.
  std::vector<double> loss;

  size_t count() const { return ids.size(); }
  void reserve(size_t count);
};

}  // namespace corax
