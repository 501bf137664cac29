// What pluto can be told; src/native/pluto.ts says what each means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "core/ip.h"

namespace corax {

// Text for pluto's string area: 1–max bytes, printable ASCII without spaces and quotes. It can end no string early,
// break no line of a log or reply, and it is never empty: pluto aborts when it is told to initiate, unroute or
// terminate no connection in particular.
class PlutoText {
 public:
  static constexpr size_t max = 512;
  static constexpr const char* rule = "1 to 512 printable ASCII bytes without spaces and quotes";

  static std::optional<PlutoText> from(std::string text);
  const std::string& text() const { return text_; }

 private:
  explicit PlutoText(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

enum class PlutoOp { listen, rereadSecrets, status, showStates, trafficStatus, shutdown };

struct PlutoEnd {
  PlutoText id;
  // Nothing = %any.
  std::optional<Ip> host;
  // 0 = not said.
  uint16_t ikePort = 0;
  IpPrefix client;
};

struct PlutoConnection {
  PlutoEnd local, remote;
  uint32_t dpdDelayS = 0;
  // Once the remote is taken to be dead: begin anew, or wait for it to.
  bool restarts = true;
  uint32_t retransmitTimeoutS = 0;
  uint32_t retransmitIntervalMs = 0;
  std::optional<uint32_t> ifId = std::nullopt;
  uint32_t reqid = 0;
  std::optional<PlutoText> ike = std::nullopt, esp = std::nullopt;

  // Why pluto, or its whack, would not have it; nullptr = fine.
  const char* problem() const;
};

struct PlutoConnectionCommand {
  PlutoText name;
  bool remove = false;
  std::optional<PlutoConnection> add = std::nullopt;
  bool route = false;
  bool unroute = false;
  bool initiate = false;
  bool terminate = false;

  const char* problem() const;
};

using PlutoCommand = std::variant<PlutoOp, PlutoConnectionCommand>;

}  // namespace corax
