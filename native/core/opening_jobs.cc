#include "core/opening_jobs.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include "core/ip.h"
#include "core/kernel.h"

namespace corax {

Job::Step RendezvousOpenJob::step(Kernel& kernel) {
  kernel.openRendezvous(place_ ? &*place_ : nullptr);
  return Step::done;
}

Job::Step RendezvousSendJob::step(Kernel& kernel) {
  if (kernel.rendezvous() == nullptr) throw Failure(FailureCode::socket, ENOTCONN, "the rendezvous is not open");
  const std::vector<int> errors = kernel.rendezvous()->send(messages_);
  results.resize(messages_.size());
  for (size_t index = 0; index < errors.size(); index++) {
    if (errors[index] == 0) continue;
    Ip ip;
    std::memcpy(ip.bytes.data(), &messages_[index].destination, sizeof(in_addr));
    results[index] = Failure::system(FailureCode::socket, "rendezvous with " + ip.text(), errors[index]);
  }
  return Step::done;
}

Job::Step FanOpenJob::step(Kernel& kernel) {
  kernel.beginOpening(options_.id, std::make_unique<PortFan>(options_, kernel.sink()));
  return Step::done;
}

Job::Step SprayStartJob::step(Kernel& kernel) {
  // It may be lost and opened anew while the probes are on their way.
  const auto send = [&kernel](const std::vector<RawDatagram>& packets) {
    return kernel.raw() != nullptr ? kernel.raw()->send(packets) : std::vector<int>(packets.size(), ENOTCONN);
  };
  kernel.beginOpening(options_.id, std::make_unique<PortSpray>(options_, send, kernel.sink()));
  return Step::done;
}

Job::Step OpeningEndJob::step(Kernel& kernel) {
  kernel.endOpening(opening_);
  return Step::done;
}

}  // namespace corax
