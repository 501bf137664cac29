#include "core/jobs.h"

#include <cerrno>
#include <memory>

#include "core/icmp_prober.h"
#include "core/ip.h"
#include "core/kernel.h"
#include "core/nft.h"

namespace corax {

Job::Step NftJob::step(Kernel& kernel) {
  output = kernel.nft().run(json_);
  kernel.counters().nftTransactions++;
  return Step::done;
}

Job::Step RawOpenJob::step(Kernel& kernel) {
  kernel.openRaw(std::make_unique<RawUdp>(ports_, fwmark_, kernel.sink()));
  return Step::done;
}

Job::Step RawSendJob::step(Kernel& kernel) {
  if (kernel.raw() == nullptr) {
    throw Failure(FailureCode::socket, ENOTCONN, "the raw socket is not open: call rawOpen() first");
  }
  const std::vector<int> errors = kernel.raw()->send(packets_);
  results.resize(packets_.size());
  for (size_t index = 0; index < errors.size(); index++) {
    if (errors[index] == 0) continue;
    Ip ip;
    std::memcpy(ip.bytes.data(), &packets_[index].destination, sizeof(in_addr));
    const std::string subject = "UDP to " + ip.text() + ":" + std::to_string(packets_[index].destinationPort);
    results[index] = Failure::system(FailureCode::socket, subject, errors[index]);
  }
  return Step::done;
}

Job::Step StunTapJob::step(Kernel& kernel) {
  kernel.tapStun(on_);
  return Step::done;
}

Job::Step HandshakeTapJob::step(Kernel& kernel) {
  kernel.tapHandshakes(device_, ports_);
  return Step::done;
}

Job::Step ProbeSetJob::step(Kernel& kernel) {
  try {
    kernel.prober().set(targets_);
  } catch (const std::logic_error& problem) {
    throw Failure(FailureCode::socket, EINVAL, problem.what());
  }
  return Step::done;
}

Job::Step ProbeRemoveJob::step(Kernel& kernel) {
  if (kernel.hasProber()) kernel.prober().remove(ids_);
  return Step::done;
}

Job::Step ProbeSnapshotJob::step(Kernel& kernel) {
  if (kernel.hasProber()) columns = kernel.prober().snapshot();
  return Step::done;
}

}  // namespace corax
