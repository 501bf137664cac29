// WG_CMD_GET_DEVICE: messages of one dump into one snapshot.
#pragma once

#include "core/netlink/socket.h"
#include "core/wireguard/columns.h"

namespace corax {

class WgDecoder {
 public:
  // Forgets what was read so far. `expected`: about how many peers there will be, 0 = unknown.
  void restart(size_t expected = 0);
  // Throws Failure EBADMSG where the message lies about its lengths.
  void message(const NetlinkMessage& message);
  WgSnapshot take();

 private:
  // What the columns have of one, but for its key and allowed IPs.
  struct Peer {
    uint8_t address[16] = {};
    uint16_t port = 0;
    uint16_t keepalive = 0;
    double lastHandshake = 0;
    double rxBytes = 0;
    double txBytes = 0;
  };

  void peer(Bytes attributes);
  void add(const uint8_t* key, const Peer& peer);
  void allowedIps(Bytes list);
  void makeRoom(size_t peers);
  void makeAllowedIpRoom(size_t entries);

  // Its columns have room for more than the count_ peers and allowedIps_ entries that were read: take() cuts them.
  WgSnapshot snapshot_;
  size_t count_ = 0;
  size_t allowedIps_ = 0;
};

}  // namespace corax
