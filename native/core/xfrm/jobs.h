// What Engine.xfrmSnapshot(), xfrmDelta(), xfrmPolicies(), xfrmDelete() and watchXfrm() do.
#pragma once

#include <optional>
#include <vector>

#include "core/job.h"
#include "core/netlink/dump.h"
#include "core/xfrm/columns.h"
#include "core/xfrm/encode.h"

namespace corax {

class XfrmSnapshotJob : public Job {
 public:
  Step step(Kernel& kernel) override;
  XfrmStates states;

 private:
  Dump dump_;
};

class XfrmDeltaJob final : public XfrmSnapshotJob {
 public:
  Step step(Kernel& kernel) override;
  XfrmDelta delta;
};

class XfrmPoliciesJob final : public Job {
 public:
  Step step(Kernel& kernel) override;
  XfrmPolicies policies;

 private:
  Dump dump_;
};

// In order, each on its own; as many in one send as make a short slice.
class XfrmDeleteJob final : public Job {
 public:
  explicit XfrmDeleteJob(std::vector<XfrmDeletion> deletions)
      : results(deletions.size()), deletions_(std::move(deletions)) {}
  Step step(Kernel& kernel) override;

  // One a deletion; nothing = it is gone, or was before.
  std::vector<std::optional<Failure>> results;

 private:
  std::vector<XfrmDeletion> deletions_;
  size_t next_ = 0;
};

class WatchXfrmJob final : public Job {
 public:
  Step step(Kernel& kernel) override;
};

}  // namespace corax
