// Firewall transactions through libnftables, in process: JSON in, JSON out, no nft(8).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

struct nft_ctx;

namespace corax {

// One libnftables context, reused. Contexts share state of the whole process (parser, interface cache), and
// libnftables has no locks: engines take turns.
class Nft {
 public:
  static constexpr size_t maxInput = 4u << 20;

  // Throws Failure (nft) when there is no memory or no socket for a context.
  Nft();
  ~Nft();

  // One transaction: all of `json` (libnftables-json(5)) takes effect, or nothing. Blocks on netlink. Returns
  // the JSON that the commands printed, "" if none. Throws Failure (nft) with libnftables' own words; input
  // over maxInput is refused with E2BIG, what is not a JSON object with EINVAL.
  std::string run(const std::string& json);

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  std::unique_ptr<nft_ctx, Free> context_;
};

}  // namespace corax
