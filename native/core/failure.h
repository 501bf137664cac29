// What went wrong, as JavaScript will read it (NativeError in src/native/events.ts).
#pragma once

#include <stdexcept>
#include <string>

namespace corax {

enum class FailureCode { netlink, nft, socket, closed, queueFull, pluto };

class Failure : public std::runtime_error {
 public:
  // number: positive errno, 0 where there is none. extAck: the kernel's own words, "" where it had none.
  Failure(FailureCode code, int number, std::string message, std::string extAck = {})
      : std::runtime_error(std::move(message)), code_(code), number_(number), extAck_(std::move(extAck)) {}

  // "RTM_NEWROUTE 10.0.0.0/8: Network is unreachable (ENETUNREACH): extended ack text"
  static Failure system(FailureCode code, const std::string& subject, int number, const std::string& extAck = {});

  FailureCode code() const { return code_; }
  int number() const { return number_; }
  const std::string& extAck() const { return extAck_; }

 private:
  FailureCode code_;
  int number_;
  std::string extAck_;
};

// "EEXIST"; "" for 0, "E<number>" for what this libc does not know.
std::string errnoName(int number);

// The code's name in src/errors.ts.
const char* failureCodeName(FailureCode code);

}  // namespace corax
