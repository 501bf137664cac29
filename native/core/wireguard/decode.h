// WG_CMD_GET_DEVICE: messages of one dump into one snapshot.
#pragma once

#include "core/netlink/socket.h"
#include "core/wireguard/columns.h"

namespace corax {

class WgDecoder {
 public:
  // Forgets what was read so far.
  void restart() { snapshot_ = WgSnapshot(); }
  // Throws Failure EBADMSG where the message lies about its lengths.
  void message(const NetlinkMessage& message);
  WgSnapshot take() { return std::exchange(snapshot_, WgSnapshot()); }

 private:
  void peer(Bytes attributes);
  void addPeer(const uint8_t* key);
  void allowedIps(Bytes list);

  WgSnapshot snapshot_;
};

}  // namespace corax
