#include "core/rendezvous_socket.h"

#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/bpf.h"
#include "core/failure.h"
#include "core/packet_socket.h"
#include "core/receive_batch.h"
#include "core/udp_packet.h"

namespace corax {
namespace {

sockaddr_in addressOf(in_addr address, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr = address;
  result.sin_port = htons(port);
  return result;
}

int indexOf(const std::string& device) {
  const auto ifindex = static_cast<int>(if_nametoindex(device.c_str()));
  if (ifindex == 0) throw Failure::system(FailureCode::socket, "rendezvous on " + device, ENODEV);
  return ifindex;
}

Fd openSender(const RendezvousPlace& place) {
  const auto require = [&](int result) {
    if (result != 0) throw Failure::system(FailureCode::socket, "rendezvous on " + place.device, errno);
  };
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  require(fd ? 0 : -1);
  // The tap reads; here nothing is to pile up.
  attachFilter(fd.get(), dropAllFilter());
  require(setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, place.device.data(),
                     static_cast<socklen_t>(place.device.size())));
  const sockaddr_in own = addressOf(place.address, place.port);
  require(bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own));
  return fd;
}

}  // namespace

struct RendezvousSocket::ReceiveBuffers : ReceiveBatch {};

RendezvousSocket::RendezvousSocket(const RendezvousPlace& place, EventSink sink)
    : place_(place),
      ifindex_(indexOf(place.device)),
      sender_(openSender(place)),
      tap_(openIncomingSocket(rendezvousFilter(place.port, maxPayload), ifindex_)),
      sink_(std::move(sink)),
      buffers_(std::make_unique<ReceiveBuffers>()) {}

RendezvousSocket::~RendezvousSocket() = default;

bool RendezvousSocket::fits(const RendezvousPlace& place) const {
  return place.device == place_.device && place.address.s_addr == place_.address.s_addr && place.port == place_.port &&
         static_cast<int>(if_nametoindex(place.device.c_str())) == ifindex_;
}

std::vector<int> RendezvousSocket::send(const std::vector<RendezvousMessage>& messages) {
  std::vector<int> errors;
  errors.reserve(messages.size());
  for (const auto& [destination, payload] : messages) {
    const sockaddr_in to = addressOf(destination, place_.port);
    const bool sendable = !payload.empty() && payload.size() <= maxPayload;
    const bool sent = sendable && sendto(sender_.get(), payload.data(), payload.size(), 0,
                                         reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0;
    errors.push_back(!sendable ? EINVAL : sent ? 0 : errno);
  }
  return errors;
}

void RendezvousSocket::onReadable() {
  buffers_->read(tap_.get(), [this](Bytes bytes) {
    const auto packet = parseUdp(bytes);
    // Before its filter was there the tap may have got a packet that is none of these.
    if (!packet || packet->sourcePort != place_.port || packet->destinationPort != place_.port) return;
    const Bytes payload = packet->payload;
    if (payload.size == 0 || payload.size > maxPayload || packet->destination.s_addr != place_.address.s_addr) return;
    sink_(RendezvousEvent{packet->source, {payload.data, payload.data + payload.size}});
  });
}

}  // namespace corax
