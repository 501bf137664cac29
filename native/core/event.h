// What the native thread reports without having been asked; src/native/events.ts says when.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "core/ip.h"

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

// src/native/xfrm.ts says which fields count for which kind.
struct XfrmEvent {
  enum class Kind : uint8_t { mapping, expire, acquire };

  Kind kind = Kind::mapping;
  bool hard = false;
  // Host byte order.
  uint16_t port = 0;
  uint32_t spi = 0;
  uint32_t reqid = 0;
  uint32_t ifId = 0;
  Ip source;
  Ip destination;
};

// A handshake that this node began was answered.
struct HandshakeEvent {
  in_addr address;
  // Host byte order.
  uint16_t port;
  double rttMs;
};

// Somebody else's was, by this node; several may have been since the last time.
struct AnsweredEvent {};

// A message of another agent's, by the relay plane; unchecked beyond its addresses, ports and length.
struct RendezvousEvent {
  in_addr address;
  std::vector<uint8_t> payload;
};

// A PortFan ended. Ports in host byte order; 0 = no probe came in time.
struct FanEvent {
  uint32_t id;
  uint16_t localPort;
  uint16_t outsidePort;
};

// A PortSpray ended: all that it was to send was tried.
struct SprayEvent {
  uint32_t id;
  uint32_t sent;
  uint32_t failed;
};

struct OverrunEvent {};

using Event = std::variant<NetworkEvent, RawEvent, ProbeEvent, RemoteStateEvent, XfrmEvent, HandshakeEvent, AnsweredEvent,
                           RendezvousEvent, FanEvent, SprayEvent, OverrunEvent>;

// Called on the native thread, from onReadable and onDeadline only; must not call back into its source. False: there
// was no room, and nobody will hear of it.
using EventSink = std::function<bool(Event&&)>;

}  // namespace corax
