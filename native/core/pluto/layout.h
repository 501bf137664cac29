// Where pluto looks for what in a message from whack: libreswan's struct whack_message (programs/whack, include/whack.h)
// as it lies in memory on 64-bit little-endian machines, and the strings behind it. It is another one in nearly every
// version, and pluto believes the bytes: only layouts that were tried with that version's own whack and pluto are here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/pluto/command.h"

namespace corax {

// An unsigned integer, little-endian; size 0: this version has none.
struct WhackField {
  uint16_t offset = 0;
  uint8_t size = 0;
};

struct WhackConstant {
  WhackField field;
  uint64_t value;
};

// deltatime_t
struct WhackDuration {
  WhackField seconds, microseconds, isSet;
};

// ip_address, and ip_subnet with its prefix length; 16 bytes from `bytes` on hold the address, IPv4 in the first four.
struct WhackAddress {
  WhackField isSet, version;
  uint16_t bytes = 0;
  WhackField prefix;
};

// struct whack_end
struct WhackEnd {
  WhackAddress host;
  // enum keyword_host: 2 (KH_ANY) for %any.
  WhackField hostType;
  WhackField ikePort;
  // Where clients are no text.
  WhackAddress client;
};

// Which text a string is; `none` is one that we never set.
enum class WhackText : uint8_t {
  none,
  name,
  localId,
  localUpdown,
  localClient,
  remoteId,
  remoteUpdown,
  remoteClient,
  ike,
  esp,
  ipsecInterface,
  dpdDelay,
};

struct WhackString {
  WhackText text = WhackText::none;
  // Of the pointer, whose 8 bytes carry the size with the NUL; 0 where the pointers stay zero.
  uint16_t pointer = 0;
};

struct WhackRequest {
  WhackField flag;
  uint32_t magic;
};

struct WhackLayout {
  std::vector<std::string> versions;
  uint32_t magic;
  // sizeof, and the offset of `string`, the 4,096 bytes that hold the strings. Only as much as is used is sent.
  size_t size, strings;

  WhackRequest listen, rereadSecrets, status, showStates, trafficStatus, shutdown;
  WhackField remove, add, route, unroute, initiate, terminate, asynchronous;

  // What whack sends with every message; with an add; and with every other.
  std::vector<WhackConstant> always, withAdd, withoutAdd;

  // First the left end, ours, then the right one.
  WhackEnd local, remote;
  WhackDuration dpdDelay, retransmitTimeout, retransmitInterval;
  WhackField ifId, reqid;
  // Size 0 where there is none.
  WhackField dpdAction;
  // Of the hosts: 4 or 6. Of the clients: AF_INET or AF_INET6.
  WhackField hostVersion, clientAddressFamily;

  // In their order. Where every string has its NUL and its place (true), an absent one is a lone NUL; else it is
  // nothing, and the pointer says so.
  std::vector<WhackString> order;
  bool everyString;
  // What whack says for either end's updown where nothing is said; "" = nothing.
  std::string updown;
};

// What asks only for status or shutdown, and is the same in all versions (WHACK_BASIC_MAGIC).
constexpr uint32_t whackBasicMagic = 2003331865;

const std::vector<WhackLayout>& whackLayouts();
// Null where there is none for this version.
const WhackLayout* whackLayoutOf(const std::string& version);

}  // namespace corax
