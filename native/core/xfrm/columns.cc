#include "core/xfrm/columns.h"

#include <cstring>

namespace corax {
namespace {

template <size_t Size>
void append(std::vector<uint8_t>& column, const std::array<uint8_t, Size>& value) {
  column.insert(column.end(), value.begin(), value.end());
}

XfrmAddress addressAt(const std::vector<uint8_t>& column, size_t index) {
  XfrmAddress address;
  std::memcpy(address.data(), &column[index * address.size()], address.size());
  return address;
}

std::array<uint8_t, KeyIndex::keySize> keyOf(const XfrmState& state) {
  std::array<uint8_t, KeyIndex::keySize> key{};
  const uint32_t words[] = {state.spi, state.protocol, state.mark.value, state.mark.mask};
  static_assert(sizeof state.destination + sizeof words == KeyIndex::keySize);
  std::memcpy(key.data(), state.destination.data(), sizeof state.destination);
  std::memcpy(&key[sizeof state.destination], words, sizeof words);
  return key;
}

}  // namespace

void XfrmStates::add(const XfrmState& state) {
  append(keys, keyOf(state));
  append(sources, state.source);
  append(destinations, state.destination);
  spis.push_back(state.spi);
  reqids.push_back(state.reqid);
  ifIds.push_back(state.ifId);
  marks.push_back(state.mark.value);
  markMasks.push_back(state.mark.mask);
  protocols.push_back(state.protocol);
  modes.push_back(state.mode);
  encapSourcePorts.push_back(state.encapSourcePort);
  encapDestinationPorts.push_back(state.encapDestinationPort);
  bytes.push_back(state.bytes);
  packets.push_back(state.packets);
  addedAt.push_back(state.addedAt);
  usedAt.push_back(state.usedAt);
  lastUsedAt.push_back(state.lastUsedAt);
}

XfrmState XfrmStates::at(size_t index) const {
  XfrmState state;
  state.source = addressAt(sources, index);
  state.destination = addressAt(destinations, index);
  state.spi = spis[index];
  state.reqid = reqids[index];
  state.ifId = ifIds[index];
  state.mark = {marks[index], markMasks[index]};
  state.protocol = protocols[index];
  state.mode = modes[index];
  state.encapSourcePort = encapSourcePorts[index];
  state.encapDestinationPort = encapDestinationPorts[index];
  state.bytes = bytes[index];
  state.packets = packets[index];
  state.addedAt = addedAt[index];
  state.usedAt = usedAt[index];
  state.lastUsedAt = lastUsedAt[index];
  return state;
}

void XfrmPolicies::add(const XfrmPolicy& policy) {
  append(sources, policy.source);
  append(destinations, policy.destination);
  directions.push_back(policy.direction);
  actions.push_back(policy.action);
  indexes.push_back(policy.index);
  priorities.push_back(policy.priority);
  ifIds.push_back(policy.ifId);
  marks.push_back(policy.mark.value);
  markMasks.push_back(policy.mark.mask);
  templateProtocols.push_back(policy.templateProtocol);
  templateReqids.push_back(policy.templateReqid);
  append(templateSources, policy.templateSource);
  append(templateDestinations, policy.templateDestination);
}

}  // namespace corax
