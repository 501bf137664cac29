// Requests of WireGuard's generic netlink family (linux/wireguard.h).
#pragma once

#include <optional>
#include <string>

#include "core/netlink/message_batch.h"
#include "core/wireguard/columns.h"

namespace corax {

struct WgSettings {
  std::optional<WgKey> privateKey;
  std::optional<uint16_t> listenPort;
  std::optional<uint32_t> fwmark;

  ~WgSettings() {
    if (privateKey) ::explicit_bzero(privateKey->data(), privateKey->size());
  }
};

// CTRL_CMD_GETFAMILY "wireguard"
void encodeFamilyGet(MessageBatch& batch);
void encodeWgGet(MessageBatch& batch, uint16_t family, const std::string& device);
void encodeWgSettings(MessageBatch& batch, uint16_t family, const std::string& device, const WgSettings& settings);
void encodeWgClear(MessageBatch& batch, uint16_t family, const std::string& device);

// Packs peers into as few messages as the 64 KiB of a nest allow. A peer is kept whole where it fits one
// message; else its allowed IPs go on in the next, under the same key. Order is kept, so that a peer may be
// removed and added again in one go.
class WgPacker {
 public:
  // Enough for any message: 64 KiB of peers and the headers around them.
  static constexpr size_t maxMessage = (64 << 10) + 256;

  // The columns must outlive the packer.
  WgPacker(uint16_t family, std::string device, const PeerColumns& peers)
      : family_(family), device_(std::move(device)), peers_(peers) {}

  bool done() const { return peer_ >= peers_.count; }
  // The next message; only while not done(). Yields how many peers are in it, begun ones and the rest of one too.
  size_t next(MessageBatch& batch);

 private:
  // Packs what fits of the present peer into `room` bytes; false where the message is full.
  bool packPeer(MessageBatch& batch, size_t room, bool emptyMessage);

  uint16_t family_;
  std::string device_;
  const PeerColumns& peers_;
  size_t peer_ = 0;
  // Allowed IPs of the present peer that were packed already.
  uint32_t packed_ = 0;
  bool continued_ = false;
  // Of the present message.
  size_t nests_ = 0;
};

}  // namespace corax
