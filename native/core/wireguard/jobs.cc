#include "core/wireguard/jobs.h"

#include <cerrno>

#include "core/kernel.h"
#include "core/rtnl/encode.h"
#include "core/wireguard/history.h"

namespace corax {
namespace {

[[noreturn]] void fail(Kernel& kernel, const std::string& subject, int error, const std::string& extAck) {
  // For want of this family, not of a device (that is ENODEV).
  if (error == ENOENT) kernel.forgetWireguardFamily();
  throw Failure::system(FailureCode::netlink, subject, error, extAck);
}

// peers: how many are in it.
void set(Kernel& kernel, MessageBatch& batch, const std::string& device, size_t peers = 0) {
  const Ack ack = kernel.generic().exchange(batch)[0];
  batch.wipe();
  kernel.counters().wireguardPeers += peers;
  if (ack.error != 0) fail(kernel, "WG_CMD_SET_DEVICE " + device, ack.error, ack.extAck);
}

}  // namespace

Job::Step WgConfigureJob::step(Kernel& kernel) {
  MessageBatch batch(WgPacker::maxMessage);
  encodeWgSettings(batch, kernel.wireguardFamily(), device_, settings);
  set(kernel, batch, device_);
  return Step::done;
}

Job::Step WgApplyJob::step(Kernel& kernel) {
  if (!packer_) packer_.emplace(kernel.wireguardFamily(), device_, peers_);
  if (packer_->done()) return Step::done;
  const size_t peers = packer_->next(batch_);
  set(kernel, batch_, device_, peers);
  messages++;
  return packer_->done() ? Step::done : Step::more;
}

Job::Step WgSnapshotJob::step(Kernel& kernel) {
  const std::string subject = "WG_CMD_GET_DEVICE " + device_;
  try {
    const uint16_t family = kernel.wireguardFamily();
    const bool done = dump_.advance(
        kernel.generic(), subject, [&](MessageBatch& batch) { encodeWgGet(batch, family, device_); },
        [&] { decoder_.restart(kernel.history().expected(device_)); },
        [&](const NetlinkMessage& message) {
          if (message.type == family) decoder_.message(message);
        });
    if (!done) return Step::more;
  } catch (const Failure& failure) {
    if (failure.number() == ENOENT) kernel.forgetWireguardFamily();
    throw;
  }
  snapshot = decoder_.take();
  kernel.history().counted(device_, snapshot.count());
  return Step::done;
}

Job::Step WgDeltaJob::step(Kernel& kernel) {
  if (WgSnapshotJob::step(kernel) == Step::more) return Step::more;
  delta = kernel.history().advance(device_, std::move(snapshot));
  return Step::done;
}

Job::Step WgDestroyJob::step(Kernel& kernel) {
  // Deleting a device with its peers takes the kernel seconds a thousand; clearing them first does not.
  try {
    MessageBatch clear;
    encodeWgClear(clear, kernel.wireguardFamily(), device_);
    set(kernel, clear, device_);
  } catch (const Failure& failure) {
    // No device, or no WireGuard: nothing to destroy. Anything else, such as a device that is no tunnel
    // (EOPNOTSUPP), is kept.
    if (failure.number() != ENODEV && failure.number() != ENOENT) throw;
    kernel.history().forget(device_);
    return Step::done;
  }
  kernel.history().forget(device_);
  MessageBatch batch;
  const LinkDelete op{device_};
  encodeLinkDelete(batch, op);
  const Ack ack = kernel.route().exchange(batch)[0];
  if (ack.error != 0 && ack.error != ENODEV) {
    throw Failure::system(FailureCode::netlink, describe(op), ack.error, ack.extAck);
  }
  return Step::done;
}

}  // namespace corax
