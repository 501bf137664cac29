// Classic BPF programs for our raw IPv4 and packet sockets. They see a packet from its IP header on.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace corax {

using BpfProgram = std::vector<sock_filter>;

// Drops everything.
BpfProgram dropAllFilter();

// Passes unfragmented UDP to one of `ports` (host byte order, at most 64) of at most 1,472 bytes whose payload
// starts as a STUN Binding success or error response does (RFC 8489 section 5: the type, the magic cookie at
// offset 4). Requests, which anyone may send, are nothing to us.
BpfProgram stunFilter(const std::vector<uint16_t>& ports);

// Passes the same to any port.
BpfProgram stunFilter();

// Passes unfragmented UDP from or to one of `ports` (host byte order, at most 64) that is as long as, and starts as,
// WireGuard's handshake initiation or response (handshake_packet.h).
BpfProgram handshakeFilter(const std::vector<uint16_t>& ports);

// Passes unfragmented UDP from `port` to the same `port` (host byte order) of 1 to `maxPayload` bytes.
BpfProgram rendezvousFilter(uint16_t port, size_t maxPayload);

// Passes unfragmented ICMP echoes of ours (probe_packet.h): replies that carry `token`, requests that do not.
BpfProgram probeFilter(uint64_t token);

// Passes the requests among them only, before anybody has looked at their checksum.
BpfProgram probeRequestFilter(uint64_t token);

// Gives the socket the filter: first one that drops all, then what was queued since socket() is thrown away.
// A packet just on its way in may still slip by: readers check again. Throws Failure (socket).
void attachFilter(int fd, const BpfProgram& program);

}  // namespace corax
