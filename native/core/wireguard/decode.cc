#include "core/wireguard/decode.h"

#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/ip.h"
#include "core/netlink/attribute_reader.h"

namespace corax {
namespace {

// struct __kernel_timespec of WGPEER_A_LAST_HANDSHAKE_TIME.
struct KernelTime {
  int64_t seconds;
  int64_t nanoseconds;
};

bool isZero(const uint8_t* key) {
  uint8_t any = 0;
  for (size_t index = 0; index < keySize; index++) any |= key[index];
  return any == 0;
}

template <typename T>
void grow(std::vector<T>& column, size_t count) {
  column.resize(column.size() + count);
}

}  // namespace

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

void WgDecoder::addPeer(const uint8_t* key) {
  snapshot_.publicKeys.insert(snapshot_.publicKeys.end(), key, key + keySize);
  grow(snapshot_.endpointAddresses, 16);
  grow(snapshot_.endpointPorts, 1);
  grow(snapshot_.keepalives, 1);
  grow(snapshot_.lastHandshakes, 1);
  grow(snapshot_.rxBytes, 1);
  grow(snapshot_.txBytes, 1);
  snapshot_.allowedIpOffsets.push_back(snapshot_.allowedIpOffsets.back());
}

void WgDecoder::peer(Bytes attributes) {
  // The key comes first, and names the peer that the rest is about.
  bool keyed = false;
  eachAttribute(attributes, [&](const Attribute& attribute) {
    if (attribute.type == WGPEER_A_PUBLIC_KEY) {
      if (attribute.value.size != keySize) malformed("public key");
      keyed = true;
      // A peer whose allowed IPs did not fit goes on in the next message, under the same key.
      const size_t count = snapshot_.count();
      if (count == 0 || std::memcmp(snapshot_.key(count - 1), attribute.value.data, keySize) != 0) {
        addPeer(attribute.value.data);
      }
      return;
    }
    if (!keyed) malformed("peer without public key");
    const size_t at = snapshot_.count() - 1;
    switch (attribute.type) {
      case WGPEER_A_ENDPOINT: {
        const auto family = attribute.integer<sa_family_t>();
        uint8_t* address = &snapshot_.endpointAddresses[at * 16];
        if (family == AF_INET) {
          const auto endpoint = attribute.integer<sockaddr_in>();
          putMapped(address, reinterpret_cast<const uint8_t*>(&endpoint.sin_addr));
          snapshot_.endpointPorts[at] = ntohs(endpoint.sin_port);
        } else if (family == AF_INET6) {
          const auto endpoint = attribute.integer<sockaddr_in6>();
          std::memcpy(address, &endpoint.sin6_addr, 16);
          snapshot_.endpointPorts[at] = ntohs(endpoint.sin6_port);
        }
        break;
      }
      case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: snapshot_.keepalives[at] = attribute.integer<uint16_t>(); break;
      case WGPEER_A_LAST_HANDSHAKE_TIME: {
        const auto time = attribute.integer<KernelTime>();
        snapshot_.lastHandshakes[at] = static_cast<double>(time.seconds) + static_cast<double>(time.nanoseconds) / 1e9;
        break;
      }
      case WGPEER_A_RX_BYTES: snapshot_.rxBytes[at] = static_cast<double>(attribute.integer<uint64_t>()); break;
      case WGPEER_A_TX_BYTES: snapshot_.txBytes[at] = static_cast<double>(attribute.integer<uint64_t>()); break;
      case WGPEER_A_ALLOWEDIPS: allowedIps(attribute.value); break;
      default: break;
    }
  });
}

void WgDecoder::allowedIps(Bytes list) {
  eachAttribute(list, [&](const Attribute& item) {
    uint8_t entry[allowedIpSize] = {};
    uint16_t family = 0;
    Bytes address;
    eachAttribute(item.value, [&](const Attribute& attribute) {
      if (attribute.type == WGALLOWEDIP_A_FAMILY) family = attribute.integer<uint16_t>();
      if (attribute.type == WGALLOWEDIP_A_CIDR_MASK) entry[1] = attribute.integer<uint8_t>();
      if (attribute.type == WGALLOWEDIP_A_IPADDR) address = attribute.value;
    });
    if (family == AF_INET && address.size == 4 && entry[1] <= 32) {
      entry[0] = 4;
      putMapped(&entry[2], address.data);
    } else if (family == AF_INET6 && address.size == 16 && entry[1] <= 128) {
      entry[0] = 6;
      std::memcpy(&entry[2], address.data, 16);
    } else {
      malformed("allowed IP");
    }
    snapshot_.allowedIps.insert(snapshot_.allowedIps.end(), entry, entry + allowedIpSize);
    snapshot_.allowedIpOffsets.back()++;
  });
}

}  // namespace corax
