// What Engine.wgConfigure(), wgApply(), wgSnapshot(), wgDelta() and wgDestroy() do.
#pragma once

#include <memory>
#include <string>

#include "core/job.h"
#include "core/netlink/dump.h"
#include "core/wireguard/columns.h"
#include "core/wireguard/decode.h"
#include "core/wireguard/encode.h"

namespace corax {

class WgConfigureJob final : public Job {
 public:
  explicit WgConfigureJob(std::string device) : device_(std::move(device)) {}
  Step step(Kernel& kernel) override;
  WgSettings settings;

 private:
  std::string device_;
};

// A message a slice.
class WgApplyJob final : public Job {
 public:
  WgApplyJob(std::string device, PeerColumns peers) : device_(std::move(device)), peers_(std::move(peers)) {}
  Step step(Kernel& kernel) override;
  uint32_t messages = 0;

 private:
  std::string device_;
  PeerColumns peers_;
  MessageBatch batch_{WgPacker::maxMessage};
  std::optional<WgPacker> packer_;
};

class WgSnapshotJob : public Job {
 public:
  explicit WgSnapshotJob(std::string device) : device_(std::move(device)) {}
  Step step(Kernel& kernel) override;
  WgSnapshot snapshot;

 protected:
  std::string device_;

 private:
  Dump dump_;
  WgDecoder decoder_;
};

class WgDeltaJob final : public WgSnapshotJob {
 public:
  using WgSnapshotJob::WgSnapshotJob;
  Step step(Kernel& kernel) override;
  WgDelta delta;
};

class WgDestroyJob final : public Job {
 public:
  explicit WgDestroyJob(std::string device) : device_(std::move(device)) {}
  Step step(Kernel& kernel) override;

 private:
  std::string device_;
};

}  // namespace corax
