#include "core/raw_udp.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "core/bpf.h"
#include "core/failure.h"
#include "core/receive_batch.h"
#include "core/udp_packet.h"

namespace corax {
namespace {

constexpr size_t sendBatch = 32;

void setMark(int fd, uint32_t mark) {
  if (mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0)
    throw Failure::system(FailureCode::socket, "set SO_MARK", errno);
}

sockaddr_in addressOf(in_addr address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr = address;
  return result;
}

// Which source address the kernel would use: the checksum covers it, so it must be known before sending. A
// connected UDP socket knows; it sends nothing. Asked anew for every batch, because routes change.
class SourceFinder {
 public:
  explicit SourceFinder(uint32_t mark) : mark_(mark) {}

  // 0, or an errno.
  int find(in_addr destination, in_addr& source) {
    if (!socket_) {
      socket_ = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (!socket_) return errno;
      setMark(socket_.get(), mark_);
    } else if (last_.s_addr == destination.s_addr) {
      source = lastSource_;
      return lastError_;
    } else {
      // Else the next lookup would start from the address that the last one found.
      sockaddr nobody{};
      nobody.sa_family = AF_UNSPEC;
      connect(socket_.get(), &nobody, sizeof nobody);
    }
    last_ = destination;
    lastError_ = lookUp(destination);
    source = lastSource_;
    return lastError_;
  }

 private:
  int lookUp(in_addr destination) {
    sockaddr_in peer = addressOf(destination);
    peer.sin_port = htons(9);
    if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) return errno;
    sockaddr_in own{};
    socklen_t size = sizeof own;
    if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return errno;
    lastSource_ = own.sin_addr;
    return 0;
  }

  uint32_t mark_;
  Fd socket_;
  in_addr last_{};
  in_addr lastSource_{};
  int lastError_ = 0;
};

bool sendable(const RawDatagram& packet) {
  return packet.sourcePort != 0 && packet.destinationPort != 0 && packet.ttl != 0 &&
         packet.payload.size() <= RawDatagram::maxPayload && packet.destination.s_addr != htonl(INADDR_ANY);
}

// One message with its parts. TTL and source go as ancillary data, not in a header of our own (IP_HDRINCL):
// the kernel then still fragments, and picks the packet's id.
struct Outgoing {
  std::array<uint8_t, udpHeaderSize> header;
  sockaddr_in destination;
  std::array<iovec, 2> parts;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in_pktinfo))> control;

  void fill(const RawDatagram& packet, in_addr source, msghdr& message) {
    header = udpHeader(source, packet.sourcePort, packet.destination, packet.destinationPort,
                       {packet.payload.data(), packet.payload.size()});
    destination = addressOf(packet.destination);
    parts[0] = {header.data(), header.size()};
    parts[1] = {const_cast<uint8_t*>(packet.payload.data()), packet.payload.size()};
    control = {};
    message = {};
    message.msg_name = &destination;
    message.msg_namelen = sizeof destination;
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const int ttl = packet.ttl;
    cmsghdr* item = CMSG_FIRSTHDR(&message);
    put(item, IP_TTL, ttl);
    in_pktinfo info{};
    info.ipi_spec_dst = source;
    put(CMSG_NXTHDR(&message, item), IP_PKTINFO, info);
  }

 private:
  template <typename T>
  static void put(cmsghdr* item, int type, const T& value) {
    item->cmsg_level = IPPROTO_IP;
    item->cmsg_type = type;
    item->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(item), &value, sizeof value);
  }
};

}  // namespace

struct RawUdp::ReceiveBuffers : ReceiveBatch {
  std::vector<uint16_t> ports;

  explicit ReceiveBuffers(const std::vector<uint16_t>& wanted) : ports(wanted) {}
};

RawUdp::RawUdp(const std::vector<uint16_t>& ports, uint32_t mark, EventSink sink)
    : mark_(mark), sink_(std::move(sink)) {
  if (ports.empty() || ports.size() > maxPorts) throw std::invalid_argument("1 to 64 ports are needed");
  if (std::find(ports.begin(), ports.end(), 0) != ports.end()) throw std::invalid_argument("port 0 is no port");
  socket_ = Fd(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!socket_) throw Failure::system(FailureCode::socket, "open a raw UDP socket", errno);
  attachFilter(socket_.get(), stunFilter(ports));
  setMark(socket_.get(), mark);
  buffers_ = std::make_unique<ReceiveBuffers>(ports);
}

RawUdp::~RawUdp() = default;

std::vector<int> RawUdp::send(const std::vector<RawDatagram>& packets) {
  std::vector<int> errors(packets.size(), 0);
  SourceFinder finder(mark_);
  std::array<Outgoing, sendBatch> outgoing;
  std::array<mmsghdr, sendBatch> messages{};
  std::array<size_t, sendBatch> indices;
  size_t count = 0;

  const auto flush = [&] {
    size_t done = 0;
    while (done < count) {
      const int sent = sendmmsg(socket_.get(), &messages[done], static_cast<unsigned>(count - done), 0);
      if (sent > 0) {
        done += static_cast<size_t>(sent);
      } else if (errno != EINTR) {
        // The errno is the first message's; the others have not been tried.
        errors[indices[done++]] = errno;
      }
    }
    count = 0;
  };

  for (size_t i = 0; i < packets.size(); ++i) {
    in_addr source{};
    errors[i] = sendable(packets[i]) ? finder.find(packets[i].destination, source) : EINVAL;
    if (errors[i] != 0) continue;
    outgoing[count].fill(packets[i], source, messages[count].msg_hdr);
    indices[count++] = i;
    if (count == sendBatch) flush();
  }
  flush();
  return errors;
}

void RawUdp::onReadable() {
  buffers_->read(socket_.get(), [this](Bytes bytes) {
    const auto packet = parseStunResponse(bytes, buffers_->ports);
    if (!packet) return;
    const Bytes payload = packet->payload;
    sink_(RawEvent{packet->source, packet->sourcePort, {payload.data, payload.data + payload.size}});
  });
}

}  // namespace corax
