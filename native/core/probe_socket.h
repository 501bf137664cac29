// What the prober needs of a socket; a test puts its own in its place.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

#include "core/probe_packet.h"

namespace corax {

struct OutgoingProbe {
  in_addr source;
  in_addr destination;
  uint8_t tos;
  // Whole IP packet, bytes.
  uint32_t size;
  ProbeHead head;

  // Filled in by send: errno or 0, and when it left (Unix time in nanoseconds).
  int error;
  int64_t sentAt;
};

struct IncomingPacket {
  const uint8_t* data;
  size_t length;
  // When the kernel took it in, Unix time in nanoseconds.
  int64_t receivedAt;
  // The device that it came in by.
  uint32_t ifindex;
};

class ProbeSocket {
 public:
  static constexpr size_t batch = 64;

  virtual ~ProbeSocket() = default;
  virtual int fd() const = 0;
  // Sends up to batch probes in order and returns how many were dealt with: fewer than count when the send
  // buffer is full.
  virtual size_t send(OutgoingProbe* probes, size_t count) = 0;
  // Reads up to batch packets, oldest first; 0 when none waits. They stay valid until the next call.
  virtual size_t receive(const IncomingPacket*& packets) = 0;
  // The clock of receivedAt and sentAt.
  virtual int64_t clock() const = 0;
};

}  // namespace corax
