// Reads many packets in one system call, and no more at a time than leaves the thread to its other work.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>

#include "core/bytes.h"
#include "core/udp_packet.h"

namespace corax {

// For sockets that give IPv4 packets from their IP header on, of UDP with at most maxUdpPayload bytes. What is
// longer is cut off, which the parsers notice.
class ReceiveBatch {
 public:
  ReceiveBatch() {
    for (size_t i = 0; i < batch; ++i) {
      parts_[i] = {data_[i].data(), data_[i].size()};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  ReceiveBatch(const ReceiveBatch&) = delete;
  ReceiveBatch& operator=(const ReceiveBatch&) = delete;

  // Calls `take(Bytes)` for each packet that is there, up to 64; the bytes are good for the call.
  template <typename Take>
  void read(int fd, Take&& take) {
    for (int round = 0; round < rounds; ++round) {
      const int count = recvmmsg(fd, messages_.data(), batch, MSG_DONTWAIT, nullptr);
      if (count <= 0) return;
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) take(Bytes{data_[i].data(), messages_[i].msg_len});
      if (static_cast<size_t>(count) < batch) return;
    }
  }

 private:
  static constexpr size_t batch = 16;
  static constexpr int rounds = 4;
  // The longest IP header, UDP header and payload.
  static constexpr size_t packetSize = 60 + udpHeaderSize + maxUdpPayload;

  std::array<std::array<uint8_t, packetSize>, batch> data_;
  std::array<iovec, batch> parts_;
  std::array<mmsghdr, batch> messages_{};
};

}  // namespace corax
