// What Engine.nft(), rawOpen(), rawSend(), stunTap(), handshakeTap(), probeSet(), probeRemove() and probeSnapshot() do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/job.h"
#include "core/probe_types.h"
#include "core/raw_udp.h"

namespace corax {

class NftJob final : public Job {
 public:
  explicit NftJob(std::string json) : json_(std::move(json)) {}
  Step step(Kernel& kernel) override;
  std::string output;

 private:
  std::string json_;
};

// In place of the socket that was open before, if any.
class RawOpenJob final : public Job {
 public:
  RawOpenJob(std::vector<uint16_t> ports, uint32_t fwmark) : ports_(std::move(ports)), fwmark_(fwmark) {}
  Step step(Kernel& kernel) override;

 private:
  std::vector<uint16_t> ports_;
  uint32_t fwmark_;
};

class RawSendJob final : public Job {
 public:
  explicit RawSendJob(std::vector<RawDatagram> packets) : packets_(std::move(packets)) {}
  Step step(Kernel& kernel) override;
  // One a packet; nothing = sent.
  std::vector<std::optional<Failure>> results;

 private:
  std::vector<RawDatagram> packets_;
};

class StunTapJob final : public Job {
 public:
  explicit StunTapJob(bool on) : on_(on) {}
  Step step(Kernel& kernel) override;

 private:
  bool on_;
};

class HandshakeTapJob final : public Job {
 public:
  // Without a device it is closed.
  HandshakeTapJob(std::string device, std::vector<uint16_t> ports)
      : device_(std::move(device)), ports_(std::move(ports)) {}
  Step step(Kernel& kernel) override;

 private:
  std::string device_;
  std::vector<uint16_t> ports_;
};

class ProbeSetJob final : public Job {
 public:
  explicit ProbeSetJob(std::vector<ProbeTarget> targets) : targets_(std::move(targets)) {}
  Step step(Kernel& kernel) override;

 private:
  std::vector<ProbeTarget> targets_;
};

class ProbeRemoveJob final : public Job {
 public:
  explicit ProbeRemoveJob(std::vector<uint32_t> ids) : ids_(std::move(ids)) {}
  Step step(Kernel& kernel) override;

 private:
  std::vector<uint32_t> ids_;
};

class ProbeSnapshotJob final : public Job {
 public:
  Step step(Kernel& kernel) override;
  ProbeColumns columns;
};

}  // namespace corax
