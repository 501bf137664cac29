#include "core/failure.h"

#include <cstring>

namespace corax {

std::string errnoName(int number) {
  if (number == 0) return "";
  const char* name = ::strerrorname_np(number);
  return name != nullptr ? name : "E" + std::to_string(number);
}

Failure Failure::system(FailureCode code, const std::string& subject, int number, const std::string& extAck) {
  const char* words = ::strerrordesc_np(number);
  std::string message = subject + ": " + (words != nullptr ? words : "Unknown error") + " (" + errnoName(number) + ")";
  if (!extAck.empty()) message += ": " + extAck;
  return Failure(code, number, std::move(message), extAck);
}

const char* failureCodeName(FailureCode code) {
  switch (code) {
    case FailureCode::netlink: return "CORAX_NETLINK";
    case FailureCode::nft: return "CORAX_NFT";
    case FailureCode::socket: return "CORAX_SOCKET";
    case FailureCode::closed: return "CORAX_CLOSED";
    case FailureCode::queueFull: return "CORAX_QUEUE_FULL";
    case FailureCode::pluto: return "CORAX_PLUTO";
  }
  return "CORAX_NETLINK";
}

}  // namespace corax
