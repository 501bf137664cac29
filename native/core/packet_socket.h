// Packet sockets: what comes in, before netfilter sees it, and what goes out, after.
#pragma once

#include "core/bpf.h"
#include "core/fd.h"

namespace corax {

// For IPv4 on every device, non-blocking; gives packets from their IP header on, whatever the device's link layer
// is. What leaves this node it does not see, except on lo. Throws Failure (socket).
Fd openPacketSocket(const BpfProgram& filter);

// The same on one device, and what leaves by it too. Of packets that are no IPv4 the filter sees what it may not take
// for it: readers check. Throws Failure (socket).
Fd openPacketSocket(const BpfProgram& filter, int ifindex);

// For IPv4 on one device, and only what comes in by it. Throws Failure (socket).
Fd openIncomingSocket(const BpfProgram& filter, int ifindex);

}  // namespace corax
