// One conversation at a time with the kernel over netlink: requests with their ACKs, and dumps that are
// read one datagram a call, so that the thread can do other things in between.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/netlink/message_batch.h"
#include "core/netlink/transport.h"

namespace corax {

struct NetlinkMessage {
  uint16_t type = 0;
  uint16_t flags = 0;
  Bytes payload;
};

struct Ack {
  // Positive errno, 0 for success.
  int error = 0;
  std::string extAck;
};

struct NetlinkCounters {
  std::atomic<uint64_t> messages{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> dumpsInterrupted{0};
};

enum class DumpState { more, done, interrupted };

class NetlinkSocket {
 public:
  using Open = std::function<std::unique_ptr<Transport>()>;
  using Handler = std::function<void(const NetlinkMessage&)>;

  struct Options {
    // How long to wait for an answer. The kernel answers within the send; this is for the day it does not.
    std::chrono::milliseconds timeout{5000};
    // Answers may hold keys: they are wiped as soon as they were read.
    bool secret = false;
  };

  NetlinkSocket(Open open, NetlinkCounters& counters, Options options);

  // Sends all messages in one datagram and waits until the last was dealt with: one ACK a message. Answers
  // that are neither ACKs nor errors go to the handler. Throws Failure where the conversation itself fails
  // (time-out, lost messages, nonsense); the next one then starts on a new socket.
  std::vector<Ack> exchange(MessageBatch& batch, const Handler& handler = nullptr);

  // Starts a dump; the batch holds its one request. Read it to its end before anything else is sent.
  void beginDump(MessageBatch& batch);
  // Reads one datagram of the dump. An error of the kernel's is thrown with this subject. `interrupted`
  // (NLM_F_DUMP_INTR) comes at the end: what was read is no consistent picture and must be asked for again.
  DumpState readDump(const std::string& subject, const Handler& handler);

  // Of the present socket; 0 while there is none.
  uint32_t portId() const { return transport_ ? transport_->portId() : 0; }

 private:
  Transport& transport();
  void send(MessageBatch& batch);
  // Receives one datagram, within the time-out, and visits its messages with their sequence numbers.
  template <typename Visit>
  void receive(Visit&& visit);
  [[noreturn]] void fail(const std::string& subject, int number);

  Open open_;
  NetlinkCounters& counters_;
  Options options_;
  std::unique_ptr<Transport> transport_;
  std::vector<uint8_t> buffer_;
  uint32_t sequence_;
  uint32_t first_ = 0;
  bool interrupted_ = false;
};

}  // namespace corax
