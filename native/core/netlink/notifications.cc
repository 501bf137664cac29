#include "core/netlink/notifications.h"

#include <cerrno>

namespace corax {
namespace {

constexpr size_t bufferSize = 32 << 10;
// A storm of changes must not keep the thread from its probes.
constexpr int maxReads = 64;

}  // namespace

Notifications::Notifications(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)), buffer_(bufferSize) {}

void Notifications::read(const Handlers& handlers) {
  ssize_t received = 0;
  int errors = 0;
  for (int reads = 0; reads < maxReads; reads++) {
    received = transport_->receive(buffer_.data(), buffer_.size());
    if (received == -EAGAIN) return;
    if (received == -EMSGSIZE) {
      handlers.unreadable();
      continue;
    }
    if (received < 0) {
      handlers.lost();
      errors++;
      continue;
    }
    try {
      handlers.datagram({buffer_.data(), static_cast<size_t>(received)});
    } catch (const Failure&) {
      handlers.unreadable();
    }
  }
  // It would keep the thread busy for ever.
  if (errors == maxReads) throw Failure::system(FailureCode::netlink, "netlink events", static_cast<int>(-received));
}

}  // namespace corax
