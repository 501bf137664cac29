// Arguments of what opens a direct plane between hard NATs.
#pragma once

#include <napi.h>

#include <optional>
#include <vector>

#include "core/port_fan.h"
#include "core/port_spray.h"
#include "core/rendezvous_socket.h"

namespace corax {

// Null: none.
std::optional<RendezvousPlace> readRendezvousPlace(const Napi::Value& value);
std::vector<RendezvousMessage> readRendezvousMessages(const Napi::Value& value);
FanOptions readFanOptions(const Napi::Value& value);
SprayOptions readSprayOptions(const Napi::Value& value);

}  // namespace corax
