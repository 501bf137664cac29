// Raw packets, probe targets and their results, and events, to and from JavaScript.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "core/event.h"
#include "core/probe_types.h"
#include "core/raw_udp.h"

namespace corax {

struct RawOptions {
  std::vector<uint16_t> ports;
  uint32_t fwmark;
};

// Without a device nothing is to be tapped.
struct TapOptions {
  std::string device;
  std::vector<uint16_t> ports;
};

TapOptions readTapOptions(const Napi::Value& value);
RawOptions readRawOptions(const Napi::Value& value);
std::vector<RawDatagram> readRawPackets(const Napi::Value& value);
std::vector<ProbeTarget> readProbeTargets(const Napi::Value& value);
std::vector<uint32_t> readProbeIds(const Napi::Value& value);

Napi::Value toValue(Napi::Env env, ProbeColumns&& columns);
Napi::Value toValue(Napi::Env env, Event&& event);

}  // namespace corax
