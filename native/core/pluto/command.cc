#include "core/pluto/command.h"

#include <algorithm>

namespace corax {

std::optional<PlutoText> PlutoText::from(std::string text) {
  const auto fits = [](char letter) { return letter > ' ' && letter < 0x7f && letter != '"' && letter != '\''; };
  if (text.empty() || text.size() > max || !std::all_of(text.begin(), text.end(), fits)) return std::nullopt;
  return PlutoText(std::move(text));
}

const char* PlutoConnection::problem() const {
  if (!local.host && !remote.host) return "one end at least must have a host";
  if (local.host && remote.host && local.host->family != remote.host->family) return "both hosts must be of one family";
  if (local.client.ip.family != remote.client.ip.family) return "both clients must be of one family";
  if (local.client.hasHostBits() || remote.client.hasHostBits()) return "clients must have no host bits";
  // With none, dpd_action would not count; see PlutoConnection in src/native/pluto.ts.
  if (dpdDelayS == 0) return "dpdDelayS must be given";
  // pluto gives out those above itself.
  if (reqid == 0 || reqid > 16'383) return "reqid must be from 1 to 16383";
  return nullptr;
}

const char* PlutoConnectionCommand::problem() const {
  if (!remove && !add && !route && !unroute && !initiate && !terminate) return "nothing is to be done";
  if (route && unroute) return "route and unroute exclude each other";
  if (initiate && terminate) return "initiate and terminate exclude each other";
  return add ? add->problem() : nullptr;
}

}  // namespace corax
