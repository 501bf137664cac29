// Routes as columns, one entry a route in each; src/native/network.ts RouteColumns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/rtnl/types.h"

namespace corax {

struct RouteColumns {
  // Family (4 or 6), prefix length, 16 address bytes.
  static constexpr size_t destinationSize = 18;
  static constexpr size_t addressSize = 16;

  std::vector<uint8_t> destinations;
  std::vector<uint8_t> types;
  std::vector<uint8_t> protocols;
  std::vector<uint32_t> metrics;
  // 0 = none.
  std::vector<uint32_t> oifs;
  // All zero = none.
  std::vector<uint8_t> gateways;
  std::vector<uint8_t> sources;

  size_t count() const { return types.size(); }
  void add(const Route& route);
  // Keeps the first `count`.
  void truncate(size_t count);
};

}  // namespace corax
