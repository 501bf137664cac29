#include "core/xfrm/history.h"

#include <cstring>
#include <optional>

namespace corax {
namespace {

uint8_t difference(const XfrmStates& before, size_t left, const XfrmStates& now, size_t right) {
  const XfrmState old = before.at(left);
  const XfrmState state = now.at(right);
  // Another one that has come to the same SPI since.
  if (old.reqid != state.reqid || old.ifId != state.ifId || old.addedAt != state.addedAt) return XfrmDelta::added;
  unsigned changes = 0;
  if (old.source != state.source || old.encapSourcePort != state.encapSourcePort ||
      old.encapDestinationPort != state.encapDestinationPort) {
    changes |= XfrmDelta::endpoint;
  }
  if (old.bytes != state.bytes || old.packets != state.packets || old.usedAt != state.usedAt ||
      old.lastUsedAt != state.lastUsedAt) {
    changes |= XfrmDelta::counters;
  }
  return static_cast<uint8_t>(changes);
}

void append(XfrmDelta& delta, const XfrmStates& from, size_t state, uint8_t changes) {
  delta.states.add(from.at(state));
  delta.changes.push_back(changes);
}

}  // namespace

XfrmDelta compareXfrmStates(const XfrmStates& before, const XfrmStates& now) {
  XfrmDelta delta;
  delta.total = now.count();
  std::optional<KeyIndex> index;
  std::vector<bool> seen(before.count());
  size_t cursor = 0;
  for (size_t state = 0; state < now.count(); state++) {
    std::optional<size_t> match;
    if (cursor < before.count() && std::memcmp(before.key(cursor), now.key(state), KeyIndex::keySize) == 0) {
      match = cursor;
    } else if (before.count() > 0) {
      if (!index) index.emplace(before.keys);
      match = index->find(now.key(state));
    }
    if (!match) {
      append(delta, now, state, XfrmDelta::added);
      continue;
    }
    seen[*match] = true;
    cursor = *match + 1;
    if (const uint8_t changes = difference(before, *match, now, state); changes != 0) {
      append(delta, now, state, changes);
    }
  }
  for (size_t state = 0; state < before.count(); state++) {
    if (!seen[state]) append(delta, before, state, XfrmDelta::removed);
  }
  return delta;
}

}  // namespace corax
