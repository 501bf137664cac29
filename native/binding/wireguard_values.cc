#include "binding/wireguard_values.h"

#include "binding/arguments.h"
#include "binding/values.h"
#include "core/ip.h"

namespace corax {
namespace {

constexpr uint32_t maxPeers = 1u << 20;
constexpr size_t maxAllowedIps = 1u << 24;
// All the bits of PeerFlag.
constexpr uint8_t knownFlags = 63;

void checkFlags(Napi::Env env, const PeerColumns& peers) {
  for (size_t peer = 0; peer < peers.count; peer++) {
    const auto refuse = [&](const char* column, const char* expected) {
      args::refuse(env, std::string("peers.") + column + "[" + std::to_string(peer) + "]", expected);
    };
    if ((peers.flags[peer] & ~knownFlags) != 0) refuse("flags", "bits of PeerFlag");
    if ((peers.flags[peer] & PeerColumns::endpoint) != 0 && peers.endpointPorts[peer] == 0) {
      refuse("endpointPorts", "a port");
    }
  }
}

void checkAllowedIps(Napi::Env env, const PeerColumns& peers) {
  const size_t total = peers.allowedIps.size() / allowedIpSize;
  for (size_t peer = 0; peer < peers.count; peer++) {
    if (peers.allowedIpOffsets[peer] > peers.allowedIpOffsets[peer + 1]) {
      args::refuse(env, "peers.allowedIpOffsets", "in ascending order");
    }
  }
  if (peers.allowedIps.size() % allowedIpSize != 0 || peers.allowedIpOffsets[0] != 0 ||
      peers.allowedIpOffsets[peers.count] != total) {
    args::refuse(env, "peers.allowedIpOffsets", "from 0 to the number of allowed IPs, 18 bytes each");
  }
  for (size_t entry = 0; entry < total; entry++) {
    const uint8_t* allowedIp = &peers.allowedIps[entry * allowedIpSize];
    const bool ipv4 = allowedIp[0] == 4 && allowedIp[1] <= 32 && isMapped(allowedIp + 2);
    const bool ipv6 = allowedIp[0] == 6 && allowedIp[1] <= 128;
    if (!ipv4 && !ipv6) {
      args::refuse(env, "peers.allowedIps, entry " + std::to_string(entry) + ",",
                   "family 4 with an IPv4-mapped address, or 6, and a prefix length in range");
    }
  }
}

// Takes what the object shares with WgDelta.
Napi::Object snapshotObject(Napi::Env env, WgSnapshot&& snapshot) {
  const size_t count = snapshot.count();
  const Napi::Object object = Napi::Object::New(env);
  object.Set("ifindex", Napi::Number::New(env, snapshot.ifindex));
  object.Set("publicKey", snapshot.publicKey
                              ? values::column(env, std::vector<uint8_t>(snapshot.publicKey->begin(), snapshot.publicKey->end()))
                              : env.Null());
  object.Set("listenPort", Napi::Number::New(env, snapshot.listenPort));
  object.Set("fwmark", Napi::Number::New(env, snapshot.fwmark));
  object.Set("count", Napi::Number::New(env, static_cast<double>(count)));
  object.Set("publicKeys", values::column(env, std::move(snapshot.publicKeys)));
  object.Set("endpointAddresses", values::column(env, std::move(snapshot.endpointAddresses)));
  object.Set("endpointPorts", values::column(env, std::move(snapshot.endpointPorts)));
  object.Set("keepalives", values::column(env, std::move(snapshot.keepalives)));
  object.Set("lastHandshakes", values::column(env, std::move(snapshot.lastHandshakes)));
  object.Set("rxBytes", values::column(env, std::move(snapshot.rxBytes)));
  object.Set("txBytes", values::column(env, std::move(snapshot.txBytes)));
  object.Set("allowedIpOffsets", values::column(env, std::move(snapshot.allowedIpOffsets)));
  object.Set("allowedIps", values::column(env, std::move(snapshot.allowedIps)));
  return object;
}

}  // namespace

void readWgSettings(const Napi::Value& value, WgSettings& settings) {
  const Napi::Object object = args::object(value, "settings");
  const Napi::Value key = object.Get("privateKey");
  if (!key.IsUndefined()) {
    std::vector<uint8_t> bytes = args::elements<uint8_t>(key, "settings.privateKey", keySize, keySize);
    settings.privateKey.emplace();
    std::memcpy(settings.privateKey->data(), bytes.data(), keySize);
    ::explicit_bzero(bytes.data(), bytes.size());
  }
  const auto integer = [&](const char* field, uint32_t max) {
    return args::optional(object.Get(field), [&](const Napi::Value& it) {
      return args::integer(it, std::string("settings.") + field, 0, max);
    });
  };
  if (const auto port = integer("listenPort", UINT16_MAX)) settings.listenPort = static_cast<uint16_t>(*port);
  settings.fwmark = integer("fwmark", UINT32_MAX);
}

PeerColumns readPeerColumns(const Napi::Value& value) {
  const Napi::Object object = args::object(value, "peers");
  PeerColumns peers;
  const size_t count = peers.count = args::integer(object.Get("count"), "peers.count", 0, maxPeers);
  const auto bytes = [&](const char* field, size_t size) {
    return args::elements<uint8_t>(object.Get(field), std::string("peers.") + field, count * size, count * size);
  };
  const auto shorts = [&](const char* field) {
    return args::elements<uint16_t>(object.Get(field), std::string("peers.") + field, count, count);
  };
  peers.publicKeys = bytes("publicKeys", keySize);
  peers.flags = bytes("flags", 1);
  peers.presharedKeys = bytes("presharedKeys", keySize);
  peers.endpointAddresses = bytes("endpointAddresses", 16);
  peers.endpointPorts = shorts("endpointPorts");
  peers.keepalives = shorts("keepalives");
  peers.allowedIpOffsets =
      args::elements<uint32_t>(object.Get("allowedIpOffsets"), "peers.allowedIpOffsets", count + 1, count + 1);
  peers.allowedIps =
      args::elements<uint8_t>(object.Get("allowedIps"), "peers.allowedIps", 0, maxAllowedIps * allowedIpSize);
  checkFlags(value.Env(), peers);
  checkAllowedIps(value.Env(), peers);
  return peers;
}

Napi::Value toValue(Napi::Env env, WgSnapshot&& snapshot) { return snapshotObject(env, std::move(snapshot)); }

Napi::Value toValue(Napi::Env env, WgDelta&& delta) {
  const Napi::Object object = snapshotObject(env, std::move(delta.peers));
  object.Set("changes", values::column(env, std::move(delta.changes)));
  object.Set("total", Napi::Number::New(env, static_cast<double>(delta.total)));
  return object;
}

}  // namespace corax
