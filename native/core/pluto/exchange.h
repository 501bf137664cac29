// One command and its reply over pluto's control socket. pluto serves one connection at a time and waits for it without
// end, so none is ever held: it is opened for one message, which is written whole, and closed after the reply.
#pragma once

#include <chrono>
#include <string>

#include "core/bytes.h"

namespace corax {

struct PlutoExchange {
  std::string path;
  std::chrono::milliseconds timeout;
  size_t maxReply;
  // Readable once the exchange is to be given up.
  int stop;
};

// What pluto wrote until it closed the connection. Blocks, up to the time-out. Throws Failure: pluto, with what went wrong
// and what to do, or closed when `stop` became readable.
std::string exchange(const PlutoExchange& how, Bytes message);

}  // namespace corax
