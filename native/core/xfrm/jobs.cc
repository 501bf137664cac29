#include "core/xfrm/jobs.h"

#include <linux/xfrm.h>

#include <algorithm>
#include <cerrno>

#include "core/kernel.h"
#include "core/xfrm/decode.h"
#include "core/xfrm/history.h"

namespace corax {
namespace {

// A slice; errors for all of them fit the receive buffer.
constexpr size_t maxBatch = 64;

bool isGone(int error) { return error == ESRCH || error == ENOENT; }

}  // namespace

Job::Step XfrmSnapshotJob::step(Kernel& kernel) {
  const bool done = dump_.advance(
      kernel.xfrm(), "XFRM_MSG_GETSA", encodeXfrmStateDump, [&] { states = XfrmStates(); },
      [&](const NetlinkMessage& message) {
        if (message.type != XFRM_MSG_NEWSA) return;
        if (const auto state = decodeXfrmState(message)) states.add(*state);
      });
  return done ? Step::done : Step::more;
}

Job::Step XfrmDeltaJob::step(Kernel& kernel) {
  if (XfrmSnapshotJob::step(kernel) == Step::more) return Step::more;
  delta = kernel.xfrmHistory().advance(std::move(states));
  return Step::done;
}

Job::Step XfrmPoliciesJob::step(Kernel& kernel) {
  const bool done = dump_.advance(
      kernel.xfrm(), "XFRM_MSG_GETPOLICY", encodeXfrmPolicyDump, [&] { policies = XfrmPolicies(); },
      [&](const NetlinkMessage& message) {
        if (message.type != XFRM_MSG_NEWPOLICY) return;
        if (const auto policy = decodeXfrmPolicy(message)) policies.add(*policy);
      });
  return done ? Step::done : Step::more;
}

Job::Step XfrmDeleteJob::step(Kernel& kernel) {
  const size_t first = next_;
  next_ = std::min(deletions_.size(), first + maxBatch);
  MessageBatch batch;
  for (size_t index = first; index < next_; index++) encodeXfrmDeletion(batch, deletions_[index]);
  const std::vector<Ack> acks = kernel.xfrm().exchange(batch);
  for (size_t position = 0; position < acks.size(); position++) {
    const Ack& ack = acks[position];
    if (ack.error == 0 || isGone(ack.error)) continue;
    const size_t index = first + position;
    results[index] = Failure::system(FailureCode::netlink, describe(deletions_[index]), ack.error, ack.extAck);
  }
  return next_ < deletions_.size() ? Step::more : Step::done;
}

Job::Step WatchXfrmJob::step(Kernel& kernel) {
  kernel.watchXfrm();
  return Step::done;
}

}  // namespace corax
