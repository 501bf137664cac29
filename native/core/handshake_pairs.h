// Which response belongs to which initiation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "core/event_source.h"
#include "core/handshake_packet.h"

namespace corax {

// Initiations that wait for their response, one way: of this node's, or of others'. A response names the initiation by
// the 32 bits that its sender chose at random, and comes from where the initiation went to: nobody can make one up who
// did not see the initiation. Memory is bounded whatever the network sends.
class OpenHandshakes {
 public:
  // What is beyond is not noticed.
  static constexpr size_t most = 4'096;

  explicit OpenHandshakes(Clock::duration patience) : patience_(patience) {}

  struct Key {
    in_addr address;
    uint16_t port;
    uint32_t index;
    bool operator==(const Key& other) const {
      return address.s_addr == other.address.s_addr && port == other.port && index == other.index;
    }
  };

  // `stamp` is the kernel's word for when it was on the wire, Unix time in nanoseconds. One that is there stays as it
  // is: a packet may be seen on its way through several devices.
  void begin(const Key& key, int64_t stamp, Clock::time_point now);
  // The initiation's stamp, once.
  std::optional<int64_t> end(const Key& key);
  // Forgets those that have waited for longer than the patience; how many.
  size_t expire(Clock::time_point now);
  // When expire() has something to do, or nothing.
  std::optional<Clock::time_point> next() const;
  size_t size() const { return open_.size(); }

 private:
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  struct Begun {
    int64_t stamp;
    uint64_t number;
  };
  struct Due {
    Key key;
    uint64_t number;
    Clock::time_point at;
  };

  Clock::duration patience_;
  std::unordered_map<Key, Begun, Hash> open_;
  // In the order in which they began; those that ended stay here until their time is up.
  std::deque<Due> due_;
  uint64_t begun_ = 0;
};

}  // namespace corax
