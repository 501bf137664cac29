#include "core/nft.h"

#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "core/failure.h"
#include "core/fd.h"
#include "core/json_form.h"

namespace corax {
namespace {

std::mutex& libnftables() {
  static std::mutex mutex;
  return mutex;
}

// Where libnftables gets no socket it ends the process: exit(3). So whether there is one is tried first. Others
// may take the last descriptor in between: that window is as short as it can be made from outside.
void requireSocket(int protocol) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket) throw Failure::system(FailureCode::nft, "open a socket for nftables", errno);
}

// Without the blanks around it, and without the place that JSON input has not got.
std::string trimmed(const char* text) {
  std::string result = text != nullptr ? text : "";
  static constexpr char nowhere[] = "internal:0:0-0: ";
  for (size_t at; (at = result.find(nowhere)) != std::string::npos;) result.erase(at, sizeof nowhere - 1);
  for (size_t at; (at = result.find("\n\n")) != std::string::npos;) result.erase(at, 1);
  const char* blanks = " \t\r\n";
  result.erase(result.find_last_not_of(blanks) + 1);
  result.erase(0, result.find_first_not_of(blanks));
  return result;
}

// libnftables returns no errno, but its words end in the C library's: "Error: … ; No such file or directory".
// strerrordesc_np, unlike strerror, knows no locale, and nobody in this process sets one.
int errnoIn(const std::string& words) {
  static constexpr int likely[] = {ENOENT, EPERM,  EEXIST, EBUSY,  EINVAL,     EOPNOTSUPP,   ENOMEM, ENOBUFS,
                                    E2BIG,  ENOSPC, ERANGE, ENFILE, ENOTSUP, EAFNOSUPPORT, EMFILE, EACCES};
  for (const int number : likely)
    if (words.find(::strerrordesc_np(number)) != std::string::npos) return number;
  return 0;
}

}  // namespace

void Nft::Free::operator()(nft_ctx* context) const {
  const std::lock_guard<std::mutex> lock(libnftables());
  nft_ctx_free(context);
}

Nft::Nft() {
  {
    const std::lock_guard<std::mutex> lock(libnftables());
    requireSocket(NETLINK_NETFILTER);
    context_.reset(nft_ctx_new(NFT_CTX_DEFAULT));
  }
  if (!context_) throw Failure::system(FailureCode::nft, "make an nftables context", ENOMEM);
  nft_ctx_output_set_flags(context_.get(), NFT_CTX_OUTPUT_JSON);
  if (nft_ctx_buffer_output(context_.get()) != 0 || nft_ctx_buffer_error(context_.get()) != 0)
    throw Failure::system(FailureCode::nft, "buffer nftables' output", ENOMEM);
}

Nft::~Nft() = default;

std::string Nft::run(const std::string& json) {
  if (json.size() > maxInput) throw Failure::system(FailureCode::nft, "nftables input over 4 MiB", E2BIG);
  // What libnftables cannot read as JSON it reads as nft(8)'s own language, where "include" opens files and
  // error messages quote them; and it stops at a NUL.
  if (!isJsonObject(json)) throw Failure::system(FailureCode::nft, "nftables input that is not a JSON object", EINVAL);

  const std::lock_guard<std::mutex> lock(libnftables());
  // Interface numbers are looked up on a socket of their own.
  requireSocket(NETLINK_ROUTE);
  const int result = nft_run_cmd_from_buffer(context_.get(), json.c_str());
  // Reading empties the buffers: both, whatever happened, or this run's words are the next one's too.
  std::string output = trimmed(nft_ctx_get_output_buffer(context_.get()));
  std::string words = trimmed(nft_ctx_get_error_buffer(context_.get()));
  if (result == 0) return output;
  const int number = errnoIn(words);
  if (words.empty()) words = "nftables refused the transaction and did not say why";
  throw Failure(FailureCode::nft, number, std::move(words));
}

}  // namespace corax
