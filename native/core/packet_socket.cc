#include "core/packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/failure.h"

namespace corax {

namespace {

Fd open(const BpfProgram& filter, uint16_t protocol, int ifindex) {
  // Protocol 0: no packets yet, until the filter is there.
  Fd fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw Failure::system(FailureCode::socket, "open a packet socket", errno);
  attachFilter(fd.get(), filter);
  sockaddr_ll where{};
  where.sll_family = AF_PACKET;
  where.sll_protocol = htons(protocol);
  where.sll_ifindex = ifindex;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    throw Failure::system(FailureCode::socket, "bind a packet socket", errno);
  return fd;
}

}  // namespace

// A packet socket that is not for all protocols gets nothing that this node sends.
Fd openPacketSocket(const BpfProgram& filter) { return open(filter, ETH_P_IP, 0); }

Fd openPacketSocket(const BpfProgram& filter, int ifindex) { return open(filter, ETH_P_ALL, ifindex); }

Fd openIncomingSocket(const BpfProgram& filter, int ifindex) { return open(filter, ETH_P_IP, ifindex); }

}  // namespace corax
