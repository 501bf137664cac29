// A command as the bytes that whack would send.
#pragma once

#include <cstdint>
#include <vector>

#include "core/pluto/command.h"
#include "core/pluto/layout.h"

namespace corax {

struct PlutoMessage {
  std::vector<uint8_t> bytes;
  // Every pluto says something to it, if only that it will not: silence means that it died of it.
  bool alwaysAnswered = false;
};

// Whatever is not set is zero. Throws Failure (pluto, EINVAL) for a command that must not be sent, E2BIG for one whose
// strings have no room.
PlutoMessage plutoMessage(const WhackLayout& layout, const PlutoCommand& command);

// Basic status: the one message that needs no layout.
PlutoMessage basicStatusMessage();

}  // namespace corax
