#include "core/rtnl/route_columns.h"

#include <algorithm>

namespace corax {
namespace {

void put(uint8_t* sixteen, const Ip& ip) {
  if (ip.family == 4)
    putMapped(sixteen, ip.bytes.data());
  else
    std::copy(ip.bytes.begin(), ip.bytes.end(), sixteen);
}

void append(std::vector<uint8_t>& column, const std::optional<Ip>& ip) {
  column.resize(column.size() + RouteColumns::addressSize);
  if (ip) put(&column[column.size() - RouteColumns::addressSize], *ip);
}

}  // namespace

void RouteColumns::add(const Route& route) {
  const size_t at = destinations.size();
  destinations.resize(at + destinationSize);
  destinations[at] = route.destination.ip.family;
  destinations[at + 1] = route.destination.length;
  put(&destinations[at + 2], route.destination.ip);
  types.push_back(route.type);
  protocols.push_back(route.protocol);
  metrics.push_back(route.metric);
  oifs.push_back(route.oif.value_or(0));
  append(gateways, route.gateway);
  append(sources, route.source);
}

void RouteColumns::truncate(size_t count) {
  destinations.resize(count * destinationSize);
  types.resize(count);
  protocols.resize(count);
  metrics.resize(count);
  oifs.resize(count);
  gateways.resize(count * addressSize);
  sources.resize(count * addressSize);
}

}  // namespace corax
