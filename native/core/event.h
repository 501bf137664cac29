// What the native thread reports without having been asked; src/native.ts NativeEvent says when.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

namespace corax {

struct NetworkEvent {};

struct RawEvent {
  in_addr address;
  // Host byte order.
  uint16_t port;
  std::vector<uint8_t> payload;
};

struct ProbeEvent {
  uint32_t id;
  uint32_t lostInRow;
  uint32_t answeredInRow;
  // Milliseconds, of the answer that this event is about; nothing when it is about a loss.
  std::optional<double> rttMs;
};

struct RemoteStateEvent {
  in_addr address;
  uint8_t tos;
  uint8_t state;
};

struct OverrunEvent {};

using Event = std::variant<NetworkEvent, RawEvent, ProbeEvent, RemoteStateEvent, OverrunEvent>;

// Called on the native thread, from onReadable and onDeadline only; must not call back into its source. False: there
// was no room, and nobody will hear of it.
using EventSink = std::function<bool(Event&&)>;

}  // namespace corax
