#include "core/packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/failure.h"

namespace corax {

Fd openPacketSocket(const BpfProgram& filter) {
  // Protocol 0: no packets yet, until the filter is there. A packet socket that is not for all protocols gets
  // nothing that this node sends.
  Fd fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw Failure::system(FailureCode::socket, "open a packet socket", errno);
  attachFilter(fd.get(), filter);
  sockaddr_ll everywhere{};
  everywhere.sll_family = AF_PACKET;
  everywhere.sll_protocol = htons(ETH_P_IP);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof everywhere) != 0)
    throw Failure::system(FailureCode::socket, "bind a packet socket", errno);
  return fd;
}

}  // namespace corax
