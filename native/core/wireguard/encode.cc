#include "core/wireguard/encode.h"

#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/ip.h"

namespace corax {
namespace {

constexpr size_t maxNest = UINT16_MAX;

constexpr size_t attributeSize(size_t value) { return NLA_ALIGN(NLA_HDRLEN + value); }
constexpr size_t endpoint4Size = attributeSize(sizeof(sockaddr_in));
constexpr size_t endpoint6Size = attributeSize(sizeof(sockaddr_in6));

constexpr size_t allowedIpBytesOf(uint8_t family) {
  return NLA_HDRLEN + attributeSize(sizeof(uint16_t)) + attributeSize(family == 4 ? 4 : 16) + attributeSize(1);
}

void begin(MessageBatch& batch, uint16_t family, uint8_t command) {
  batch.begin(family, 0);
  batch.header(genlmsghdr{command, WG_GENL_VERSION, 0});
}

void putEndpoint(AttributeWriter& writer, const uint8_t* address, uint16_t port) {
  if (isMapped(address)) {
    sockaddr_in endpoint{};
    endpoint.sin_family = AF_INET;
    endpoint.sin_port = htons(port);
    std::memcpy(&endpoint.sin_addr, address + 12, 4);
    writer.value(WGPEER_A_ENDPOINT, endpoint);
  } else {
    sockaddr_in6 endpoint{};
    endpoint.sin6_family = AF_INET6;
    endpoint.sin6_port = htons(port);
    std::memcpy(&endpoint.sin6_addr, address, 16);
    writer.value(WGPEER_A_ENDPOINT, endpoint);
  }
}

void putAllowedIp(AttributeWriter& writer, const uint8_t* entry) {
  const bool ipv4 = entry[0] == 4;
  writer.nest(0, allowedIpBytesOf(entry[0]));
  writer.value<uint16_t>(WGALLOWEDIP_A_FAMILY, ipv4 ? AF_INET : AF_INET6);
  if (ipv4) writer.bytes<4>(WGALLOWEDIP_A_IPADDR, entry + 14);
  else writer.bytes<16>(WGALLOWEDIP_A_IPADDR, entry + 2);
  writer.value<uint8_t>(WGALLOWEDIP_A_CIDR_MASK, entry[1]);
}

}  // namespace

void encodeFamilyGet(MessageBatch& batch) {
  batch.begin(GENL_ID_CTRL, 0);
  batch.header(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0});
  batch.text(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  batch.end();
}

void encodeWgGet(MessageBatch& batch, uint16_t family, const std::string& device) {
  begin(batch, family, WG_CMD_GET_DEVICE);
  batch.text(WGDEVICE_A_IFNAME, device);
  batch.end();
}

void encodeWgSettings(MessageBatch& batch, uint16_t family, const std::string& device, const WgSettings& settings) {
  begin(batch, family, WG_CMD_SET_DEVICE);
  batch.text(WGDEVICE_A_IFNAME, device);
  if (settings.privateKey) batch.attribute(WGDEVICE_A_PRIVATE_KEY, settings.privateKey->data(), keySize);
  if (settings.listenPort) batch.integer<uint16_t>(WGDEVICE_A_LISTEN_PORT, *settings.listenPort);
  if (settings.fwmark) batch.integer<uint32_t>(WGDEVICE_A_FWMARK, *settings.fwmark);
  batch.end();
}

void encodeWgClear(MessageBatch& batch, uint16_t family, const std::string& device) {
  begin(batch, family, WG_CMD_SET_DEVICE);
  batch.text(WGDEVICE_A_IFNAME, device);
  batch.integer<uint32_t>(WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
  batch.close(batch.open(WGDEVICE_A_PEERS));
  batch.end();
}

size_t WgPacker::next(MessageBatch& batch) {
  nests_ = 0;
  begin(batch, family_, WG_CMD_SET_DEVICE);
  batch.text(WGDEVICE_A_IFNAME, device_);
  const size_t nest = batch.open(WGDEVICE_A_PEERS);
  bool empty = true;
  while (!done() && packPeer(batch, maxNest - (batch.size() - nest), empty)) empty = false;
  batch.close(nest);
  batch.end();
  return nests_;
}

bool WgPacker::packPeer(MessageBatch& batch, size_t room, bool emptyMessage) {
  const uint8_t flags = peers_.flags[peer_];
  const bool removal = (flags & PeerColumns::remove) != 0;
  const bool endpoint = !removal && !continued_ && (flags & PeerColumns::endpoint) != 0;
  const bool preshared = !removal && !continued_ && (flags & PeerColumns::presharedKey) != 0;
  const bool keepalive = !removal && !continued_ && (flags & PeerColumns::keepalive) != 0;
  const uint8_t* address = &peers_.endpointAddresses[peer_ * 16];
  const uint32_t first = peers_.allowedIpOffsets[peer_] + packed_;
  const uint32_t last = removal ? first : peers_.allowedIpOffsets[peer_ + 1];

  size_t size = NLA_HDRLEN + attributeSize(keySize) + attributeSize(sizeof(uint32_t));
  if (endpoint) size += isMapped(address) ? endpoint4Size : endpoint6Size;
  if (preshared) size += attributeSize(keySize);
  if (keepalive) size += attributeSize(sizeof(uint16_t));
  size_t list = 0;
  uint32_t end = first;
  if (last > first) {
    list = NLA_HDRLEN;
    for (; end < last; end++) {
      const size_t entry = allowedIpBytesOf(peers_.allowedIps[end * allowedIpSize]);
      if (size + list + entry > room) break;
      list += entry;
    }
  }
  size += list;
  if (!emptyMessage && (end < last || size > room)) return false;

  uint32_t kernelFlags = 0;
  if (removal) kernelFlags |= WGPEER_F_REMOVE_ME;
  if ((flags & PeerColumns::replaceAllowedIps) != 0 && !continued_) kernelFlags |= WGPEER_F_REPLACE_ALLOWEDIPS;
  // The rest of a peer belongs to the peer that the last message made, and never makes one of its own.
  if ((flags & PeerColumns::updateOnly) != 0 || continued_) kernelFlags |= WGPEER_F_UPDATE_ONLY;

  AttributeWriter writer = batch.write(size);
  writer.nest(0, size);
  writer.bytes<keySize>(WGPEER_A_PUBLIC_KEY, &peers_.publicKeys[peer_ * keySize]);
  writer.value<uint32_t>(WGPEER_A_FLAGS, kernelFlags);
  if (preshared) writer.bytes<keySize>(WGPEER_A_PRESHARED_KEY, &peers_.presharedKeys[peer_ * keySize]);
  if (endpoint) putEndpoint(writer, address, peers_.endpointPorts[peer_]);
  if (keepalive) writer.value<uint16_t>(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peers_.keepalives[peer_]);
  if (list > 0) writer.nest(WGPEER_A_ALLOWEDIPS, list);
  for (uint32_t entry = first; entry < end; entry++) putAllowedIp(writer, &peers_.allowedIps[entry * allowedIpSize]);
  batch.wrote(writer);
  nests_++;
  if (end < last) {
    packed_ += end - first;
    continued_ = true;
    return false;
  }
  peer_++;
  packed_ = 0;
  continued_ = false;
  return true;
}

}  // namespace corax
