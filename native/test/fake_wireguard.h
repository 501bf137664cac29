// A small WireGuard of the test's own: it decodes WG_CMD_SET_DEVICE as the kernel does and keeps the peers.
// Its decoder shares nothing with native/core but the attribute reader.
#pragma once

#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>

#include <map>
#include <random>
#include <set>

#include "core/netlink/attribute_reader.h"
#include "core/wireguard/columns.h"
#include "test/fake_netlink.h"

namespace corax::test {

constexpr uint16_t fakeFamily = 33;

struct FakePeer {
  Datagram endpoint;
  Datagram presharedKey;
  uint16_t keepalive = 0;
  // Family, length, address.
  std::set<Datagram> allowedIps;

  bool operator==(const FakePeer& other) const {
    return endpoint == other.endpoint && presharedKey == other.presharedKey && keepalive == other.keepalive &&
           allowedIps == other.allowedIps;
  }
};

class FakeWireGuard {
 public:
  std::map<WgKey, FakePeer> peers;
  uint32_t messages = 0;
  size_t bytes = 0;
  // Peers in the messages.
  size_t nests = 0;
  int error = 0;

  std::vector<Datagram> answer(const std::vector<Request>& requests) {
    const Request& it = requests[0];
    CHECK_EQ(requests.size(), 1);
    if (it.type == GENL_ID_CTRL) {
      return {message(GENL_ID_CTRL, 0, it.sequence,
                      bytesOf(genlmsghdr{CTRL_CMD_NEWFAMILY, 1, 0}) + attribute(CTRL_ATTR_FAMILY_ID, bytesOf(fakeFamily))),
              ack(it)};
    }
    CHECK_EQ(it.type, fakeFamily);
    const auto header = readHeader<genlmsghdr>(it.view());
    if (header.cmd == WG_CMD_GET_DEVICE) return dump(it);
    messages++;
    bytes += it.payload.size();
    if (error == 0) {
      eachAttribute(after(it.view(), sizeof header), [&](const Attribute& attribute) {
        if (attribute.type == WGDEVICE_A_IFNAME) CHECK_EQ(attribute.text(), "wg0");
        if (attribute.type == WGDEVICE_A_PEERS) eachAttribute(attribute.value, [&](const Attribute& peer) { set(peer); });
      });
    }
    return {ack(it, error)};
  }

 private:
  static Datagram copy(Bytes value) { return Datagram(value.data, value.data + value.size); }

  // set_peer() of drivers/net/wireguard/netlink.c, in small.
  void set(const Attribute& nest) {
    nests++;
    std::map<uint16_t, Attribute> found;
    eachAttribute(nest.value, [&](const Attribute& it) { found[it.type] = it; });
    const auto key = found.at(WGPEER_A_PUBLIC_KEY).integer<WgKey>();
    CHECK_EQ(found.at(WGPEER_A_PUBLIC_KEY).value.size, keySize);
    const uint32_t flags = found.count(WGPEER_A_FLAGS) ? found.at(WGPEER_A_FLAGS).integer<uint32_t>() : 0;
    if (peers.count(key) == 0 && (flags & (WGPEER_F_REMOVE_ME | WGPEER_F_UPDATE_ONLY)) != 0) return;
    if ((flags & WGPEER_F_REMOVE_ME) != 0) {
      peers.erase(key);
      return;
    }
    FakePeer& peer = peers[key];
    if (found.count(WGPEER_A_PRESHARED_KEY)) peer.presharedKey = copy(found.at(WGPEER_A_PRESHARED_KEY).value);
    if (found.count(WGPEER_A_ENDPOINT)) peer.endpoint = copy(found.at(WGPEER_A_ENDPOINT).value);
    if (found.count(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL)) {
      peer.keepalive = found.at(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL).integer<uint16_t>();
    }
    if ((flags & WGPEER_F_REPLACE_ALLOWEDIPS) != 0) peer.allowedIps.clear();
    if (!found.count(WGPEER_A_ALLOWEDIPS)) return;
    eachAttribute(found.at(WGPEER_A_ALLOWEDIPS).value, [&](const Attribute& item) {
      std::map<uint16_t, Attribute> parts;
      eachAttribute(item.value, [&](const Attribute& it) { parts[it.type] = it; });
      const auto family = parts.at(WGALLOWEDIP_A_FAMILY).integer<uint16_t>();
      CHECK_EQ(parts.at(WGALLOWEDIP_A_IPADDR).value.size, family == AF_INET ? 4 : 16);
      peer.allowedIps.insert(Datagram{static_cast<uint8_t>(family), parts.at(WGALLOWEDIP_A_CIDR_MASK).value.data[0]} +
                             copy(parts.at(WGALLOWEDIP_A_IPADDR).value));
    });
  }

  std::vector<Datagram> dump(const Request& it) {
    std::vector<Datagram> datagrams;
    for (const auto& [key, peer] : peers) {
      const Datagram nest = attribute(0, attribute(WGPEER_A_PUBLIC_KEY, bytesOf(key)));
      datagrams.push_back(message(fakeFamily, NLM_F_MULTI, it.sequence,
                                  bytesOf(genlmsghdr{WG_CMD_GET_DEVICE, 1, 0}) + attribute(WGDEVICE_A_PEERS, nest)));
    }
    datagrams.push_back(done(it));
    return datagrams;
  }
};

inline WgKey keyOf(uint8_t number) {
  WgKey key;
  key.fill(number);
  return key;
}

// Peers with these keys and nothing else.
inline PeerColumns peerColumns(const std::vector<uint8_t>& keys) {
  PeerColumns columns;
  columns.count = keys.size();
  for (const uint8_t key : keys) columns.publicKeys.insert(columns.publicKeys.end(), keySize, key);
  columns.flags.assign(keys.size(), 0);
  columns.presharedKeys.assign(keys.size() * keySize, 0);
  columns.endpointAddresses.assign(keys.size() * 16, 0);
  columns.endpointPorts.assign(keys.size(), 0);
  columns.keepalives.assign(keys.size(), 0);
  columns.allowedIpOffsets.assign(keys.size() + 1, 0);
  return columns;
}

// 4 bytes of IPv4 or 16 of IPv6.
inline void addAllowedIp(PeerColumns& columns, const Datagram& address, uint8_t length) {
  columns.allowedIps.push_back(address.size() == 4 ? 4 : 6);
  columns.allowedIps.push_back(length);
  if (address.size() == 4) columns.allowedIps.insert(columns.allowedIps.end(), {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255});
  columns.allowedIps.insert(columns.allowedIps.end(), address.begin(), address.end());
}

// Peers with anything set or not, removals and updates among them, and what a kernel without peers makes of it.
inline PeerColumns randomPeers(std::mt19937& random, size_t count, std::map<WgKey, FakePeer>& wanted) {
  PeerColumns columns = peerColumns(std::vector<uint8_t>(count));
  for (size_t peer = 0; peer < count; peer++) {
    // Few keys, so that some come twice.
    WgKey key{};
    const uint32_t number = static_cast<uint32_t>(random() % (count + 1));
    std::memcpy(key.data(), &number, sizeof number);
    std::memcpy(&columns.publicKeys[peer * keySize], key.data(), keySize);
    const bool remove = random() % 10 == 0;
    const bool update = random() % 10 == 0;
    uint8_t flags = static_cast<uint8_t>(random() & (PeerColumns::replaceAllowedIps | PeerColumns::endpoint |
                                                      PeerColumns::presharedKey | PeerColumns::keepalive));
    if (remove) flags |= PeerColumns::remove;
    if (update) flags |= PeerColumns::updateOnly;
    columns.flags[peer] = flags;

    FakePeer made;
    const bool ipv4 = random() % 2 == 0;
    uint8_t* address = &columns.endpointAddresses[peer * 16];
    for (size_t at = 0; at < 16; at++) address[at] = static_cast<uint8_t>(random());
    if (ipv4) std::memcpy(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    columns.endpointPorts[peer] = static_cast<uint16_t>(1 + random() % 65'535);
    sockaddr_in v4{AF_INET, htons(columns.endpointPorts[peer]), {}, {}};
    std::memcpy(&v4.sin_addr, address + 12, 4);
    sockaddr_in6 v6{AF_INET6, htons(columns.endpointPorts[peer]), 0, {}, 0};
    std::memcpy(&v6.sin6_addr, address, 16);
    columns.keepalives[peer] = static_cast<uint16_t>(random());
    for (size_t at = 0; at < keySize; at++) columns.presharedKeys[peer * keySize + at] = static_cast<uint8_t>(random());

    const size_t entries = random() % 200 == 0 ? random() % 6000 : random() % 5;
    for (size_t entry = 0; entry < entries; entry++) {
      const bool six = random() % 3 == 0;
      Datagram ip(six ? 16 : 4);
      for (uint8_t& byte : ip) byte = static_cast<uint8_t>(random());
      const auto length = static_cast<uint8_t>(random() % (six ? 129 : 33));
      addAllowedIp(columns, ip, length);
      made.allowedIps.insert(Datagram{static_cast<uint8_t>(six ? AF_INET6 : AF_INET), length} + ip);
    }
    columns.allowedIpOffsets[peer + 1] = columns.allowedIpOffsets[peer] + static_cast<uint32_t>(entries);

    const bool known = wanted.count(key) != 0;
    if (remove) wanted.erase(key);
    if (remove || (update && !known)) continue;
    FakePeer& result = wanted[key];
    if ((flags & PeerColumns::endpoint) != 0) result.endpoint = ipv4 ? bytesOf(v4) : bytesOf(v6);
    if ((flags & PeerColumns::keepalive) != 0) result.keepalive = columns.keepalives[peer];
    if ((flags & PeerColumns::presharedKey) != 0) {
      const auto psk = columns.presharedKeys.begin() + static_cast<std::ptrdiff_t>(peer * keySize);
      result.presharedKey = Datagram(psk, psk + keySize);
    }
    if ((flags & PeerColumns::replaceAllowedIps) != 0) result.allowedIps.clear();
    result.allowedIps.insert(made.allowedIps.begin(), made.allowedIps.end());
  }
  return columns;
}

}  // namespace corax::test
