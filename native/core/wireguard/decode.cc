#include "core/wireguard/decode.h"

#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "core/ip.h"
#include "core/netlink/attribute_reader.h"

namespace corax {
namespace {

// struct __kernel_timespec of WGPEER_A_LAST_HANDSHAKE_TIME.
struct KernelTime {
  int64_t seconds;
  int64_t nanoseconds;
};

constexpr size_t firstRoom = 64;

bool isZero(const uint8_t* key) {
  uint8_t any = 0;
  for (size_t index = 0; index < keySize; index++) any |= key[index];
  return any == 0;
}

}  // namespace

void WgDecoder::restart(size_t expected) {
  snapshot_ = WgSnapshot();
  count_ = 0;
  allowedIps_ = 0;
  // A few may have come since.
  if (expected > 0) makeRoom(expected + expected / 64 + 1);
}

WgSnapshot WgDecoder::take() {
  makeRoom(count_);
  makeAllowedIpRoom(allowedIps_);
  count_ = 0;
  allowedIps_ = 0;
  return std::exchange(snapshot_, WgSnapshot());
}

void WgDecoder::makeRoom(size_t peers) {
  snapshot_.publicKeys.resize(peers * keySize);
  snapshot_.endpointAddresses.resize(peers * 16);
  snapshot_.endpointPorts.resize(peers);
  snapshot_.keepalives.resize(peers);
  snapshot_.lastHandshakes.resize(peers);
  snapshot_.rxBytes.resize(peers);
  snapshot_.txBytes.resize(peers);
  snapshot_.allowedIpOffsets.resize(peers + 1);
}

void WgDecoder::makeAllowedIpRoom(size_t entries) { snapshot_.allowedIps.resize(entries * allowedIpSize); }

void WgDecoder::message(const NetlinkMessage& message) {
  const auto header = readHeader<genlmsghdr>(message.payload);
  if (header.cmd != WG_CMD_GET_DEVICE) return;
  eachAttribute(after(message.payload, sizeof header), [&](const Attribute& attribute) {
    switch (attribute.type) {
      case WGDEVICE_A_IFINDEX: snapshot_.ifindex = attribute.integer<uint32_t>(); break;
      case WGDEVICE_A_LISTEN_PORT: snapshot_.listenPort = attribute.integer<uint16_t>(); break;
      case WGDEVICE_A_FWMARK: snapshot_.fwmark = attribute.integer<uint32_t>(); break;
      case WGDEVICE_A_PUBLIC_KEY: snapshot_.publicKey = attribute.integer<WgKey>(); break;
      case WGDEVICE_A_PEERS:
        eachAttribute(attribute.value, [&](const Attribute& item) { peer(item.value); });
        break;
      // WGDEVICE_A_PRIVATE_KEY is not looked at.
      default: break;
    }
  });
  if (snapshot_.publicKey && isZero(snapshot_.publicKey->data())) snapshot_.publicKey.reset();
}

void WgDecoder::peer(Bytes attributes) {
  // Gathered here and stored at the end: through the columns' own pointers each byte that is stored may alias them, so
  // that they are loaded again for every attribute.
  const uint8_t* key = nullptr;
  Peer it;
  Bytes allowed;
  eachAttribute(attributes, [&](const Attribute& attribute) {
    // The key comes first, and names the peer that the rest is about.
    if (key == nullptr && attribute.type != WGPEER_A_PUBLIC_KEY) malformed("peer without public key");
    switch (attribute.type) {
      case WGPEER_A_PUBLIC_KEY:
        if (attribute.value.size != keySize) malformed("public key");
        key = attribute.value.data;
        break;
      case WGPEER_A_ENDPOINT: {
        const auto family = attribute.integer<sa_family_t>();
        if (family == AF_INET) {
          const auto endpoint = attribute.integer<sockaddr_in>();
          putMapped(it.address, reinterpret_cast<const uint8_t*>(&endpoint.sin_addr));
          it.port = ntohs(endpoint.sin_port);
        } else if (family == AF_INET6) {
          const auto endpoint = attribute.integer<sockaddr_in6>();
          std::memcpy(it.address, &endpoint.sin6_addr, 16);
          it.port = ntohs(endpoint.sin6_port);
        }
        break;
      }
      case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: it.keepalive = attribute.integer<uint16_t>(); break;
      case WGPEER_A_LAST_HANDSHAKE_TIME: {
        const auto time = attribute.integer<KernelTime>();
        it.lastHandshake = static_cast<double>(time.seconds) + static_cast<double>(time.nanoseconds) / 1e9;
        break;
      }
      case WGPEER_A_RX_BYTES: it.rxBytes = static_cast<double>(attribute.integer<uint64_t>()); break;
      case WGPEER_A_TX_BYTES: it.txBytes = static_cast<double>(attribute.integer<uint64_t>()); break;
      case WGPEER_A_ALLOWEDIPS: allowed = attribute.value; break;
      default: break;
    }
  });
  if (key == nullptr) return;
  // A peer whose allowed IPs did not fit goes on in the next message, with its key and them alone.
  if (count_ == 0 || std::memcmp(snapshot_.key(count_ - 1), key, keySize) != 0) add(key, it);
  allowedIps(allowed);
}

void WgDecoder::add(const uint8_t* key, const Peer& peer) {
  // All columns at once and rarely: one by one they cost as much as the decoding.
  if (count_ == snapshot_.count()) makeRoom(std::max(firstRoom, count_ * 2));
  const size_t at = count_++;
  std::memcpy(&snapshot_.publicKeys[at * keySize], key, keySize);
  std::memcpy(&snapshot_.endpointAddresses[at * 16], peer.address, 16);
  snapshot_.endpointPorts[at] = peer.port;
  snapshot_.keepalives[at] = peer.keepalive;
  snapshot_.lastHandshakes[at] = peer.lastHandshake;
  snapshot_.rxBytes[at] = peer.rxBytes;
  snapshot_.txBytes[at] = peer.txBytes;
  snapshot_.allowedIpOffsets[count_] = static_cast<uint32_t>(allowedIps_);
}

void WgDecoder::allowedIps(Bytes list) {
  eachAttribute(list, [&](const Attribute& item) {
    if (allowedIps_ * allowedIpSize == snapshot_.allowedIps.size()) {
      makeAllowedIpRoom(std::max({firstRoom, allowedIps_ * 2, snapshot_.count()}));
    }
    uint16_t family = 0;
    uint8_t length = 0;
    Bytes address;
    eachAttribute(item.value, [&](const Attribute& attribute) {
      if (attribute.type == WGALLOWEDIP_A_FAMILY) family = attribute.integer<uint16_t>();
      if (attribute.type == WGALLOWEDIP_A_CIDR_MASK) length = attribute.integer<uint8_t>();
      if (attribute.type == WGALLOWEDIP_A_IPADDR) address = attribute.value;
    });
    uint8_t* entry = &snapshot_.allowedIps[allowedIps_ * allowedIpSize];
    entry[1] = length;
    if (family == AF_INET && address.size == 4 && length <= 32) {
      entry[0] = 4;
      putMapped(&entry[2], address.data);
    } else if (family == AF_INET6 && address.size == 16 && length <= 128) {
      entry[0] = 6;
      std::memcpy(&entry[2], address.data, 16);
    } else {
      malformed("allowed IP");
    }
    snapshot_.allowedIpOffsets[count_] = static_cast<uint32_t>(++allowedIps_);
  });
}

}  // namespace corax
