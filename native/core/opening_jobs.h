// What Engine.rendezvousOpen(), rendezvousSend(), fanOpen(), sprayStart() and openingEnd() do.
#pragma once

#include <optional>
#include <vector>

#include "core/job.h"
#include "core/port_fan.h"
#include "core/port_spray.h"
#include "core/rendezvous_socket.h"

namespace corax {

class RendezvousOpenJob final : public Job {
 public:
  // Nothing closes it.
  explicit RendezvousOpenJob(std::optional<RendezvousPlace> place) : place_(std::move(place)) {}
  Step step(Kernel& kernel) override;

 private:
  std::optional<RendezvousPlace> place_;
};

class RendezvousSendJob final : public Job {
 public:
  explicit RendezvousSendJob(std::vector<RendezvousMessage> messages) : messages_(std::move(messages)) {}
  Step step(Kernel& kernel) override;
  // One a message; nothing = sent.
  std::vector<std::optional<Failure>> results;

 private:
  std::vector<RendezvousMessage> messages_;
};

class FanOpenJob final : public Job {
 public:
  explicit FanOpenJob(const FanOptions& options) : options_(options) {}
  Step step(Kernel& kernel) override;

 private:
  FanOptions options_;
};

// By the raw socket, which has to be open.
class SprayStartJob final : public Job {
 public:
  explicit SprayStartJob(const SprayOptions& options) : options_(options) {}
  Step step(Kernel& kernel) override;

 private:
  SprayOptions options_;
};

class OpeningEndJob final : public Job {
 public:
  explicit OpeningEndJob(uint32_t opening) : opening_(opening) {}
  Step step(Kernel& kernel) override;

 private:
  uint32_t opening_;
};

}  // namespace corax
