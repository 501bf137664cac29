#include "core/xfrm/encode.h"

#include <arpa/inet.h>
#include <linux/xfrm.h>

#include <cstdio>
#include <cstring>

namespace corax {
namespace {

void encodeMark(MessageBatch& batch, const XfrmMark& mark) {
  if (mark.value == 0 && mark.mask == 0) return;
  const xfrm_mark raw{mark.value, mark.mask};
  batch.attribute(XFRMA_MARK, &raw, sizeof raw);
}

void encodeStateDelete(MessageBatch& batch, const XfrmStateId& state) {
  batch.begin(XFRM_MSG_DELSA, 0);
  xfrm_usersa_id id{};
  std::memcpy(&id.daddr, state.destination.bytes.data(), state.destination.size());
  id.spi = htonl(state.spi);
  id.family = state.destination.addressFamily();
  id.proto = state.protocol;
  batch.header(id);
  encodeMark(batch, state.mark);
  batch.end();
}

void encodePolicyDelete(MessageBatch& batch, const XfrmPolicyId& policy) {
  batch.begin(XFRM_MSG_DELPOLICY, 0);
  xfrm_userpolicy_id id{};
  id.index = policy.index;
  id.dir = policy.direction;
  batch.header(id);
  if (policy.ifId != 0) batch.integer<uint32_t>(XFRMA_IF_ID, policy.ifId);
  encodeMark(batch, policy.mark);
  batch.end();
}

}  // namespace

void encodeXfrmStateDump(MessageBatch& batch) {
  batch.begin(XFRM_MSG_GETSA, 0);
  batch.end();
}

void encodeXfrmPolicyDump(MessageBatch& batch) {
  batch.begin(XFRM_MSG_GETPOLICY, 0);
  batch.end();
}

void encodeXfrmDeletion(MessageBatch& batch, const XfrmDeletion& deletion) {
  if (const auto* state = std::get_if<XfrmStateId>(&deletion)) encodeStateDelete(batch, *state);
  if (const auto* policy = std::get_if<XfrmPolicyId>(&deletion)) encodePolicyDelete(batch, *policy);
}

std::string describe(const XfrmDeletion& deletion) {
  if (const auto* state = std::get_if<XfrmStateId>(&deletion)) {
    char spi[11];
    std::snprintf(spi, sizeof spi, "0x%x", state->spi);
    return "XFRM_MSG_DELSA " + state->destination.text() + " spi " + spi;
  }
  return "XFRM_MSG_DELPOLICY " + std::to_string(std::get<XfrmPolicyId>(deletion).index);
}

}  // namespace corax
