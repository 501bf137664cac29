// The prober's raw ICMP sockets: one to send, one to receive.
#pragma once

#include <memory>

#include "core/probe_socket.h"
#include "core/fd.h"

namespace corax {

class IcmpSocket final : public ProbeSocket {
 public:
  // Throws Failure (socket).
  explicit IcmpSocket(uint64_t token);
  ~IcmpSocket() override;

  int fd() const override { return receiver_.get(); }
  size_t send(OutgoingProbe* probes, size_t count) override;
  size_t receive(const IncomingPacket*& packets) override;
  int64_t clock() const override;

 private:
  struct Buffers;

  void takeSendStamps(OutgoingProbe* probes, size_t count, int64_t notBefore);
  void renumber();

  Fd receiver_;
  Fd sender_;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace corax
