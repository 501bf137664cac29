#include "core/probe_types.h"

namespace corax {

const char* ProbeTarget::problem() const {
  const auto badInterval = [](uint32_t ms) { return ms < minIntervalMs || ms > maxIntervalMs; };
  if (source.s_addr == htonl(INADDR_ANY)) return "source 0.0.0.0 is no address";
  if (destination.s_addr == htonl(INADDR_ANY)) return "destination 0.0.0.0 is no address";
  if ((tos & 3) != 0) return "tos must leave its two lowest bits (ECN) 0";
  if (badInterval(intervalMs)) return "intervalMs must be 50 to 3600000";
  if (badInterval(fastIntervalMs)) return "fastIntervalMs must be 50 to 3600000";
  if (size < minSize || size > maxSize) return "size must be 64 to 65535";
  return nullptr;
}

void ProbeColumns::reserve(size_t count) {
  ids.reserve(count);
  for (auto* column : {&sent, &received, &lost, &late, &lastRttMs, &smoothedRttMs, &jitterMs, &lastReply, &loss})
    column->reserve(count);
  for (auto* column : {&lostInRow, &answeredInRow, &answeredSize}) column->reserve(count);
}

}  // namespace corax
