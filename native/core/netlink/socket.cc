#include "core/netlink/socket.h"

#include <linux/netlink.h>
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/netlink/attribute_reader.h"

namespace corax {
namespace {

// The kernel sizes a dump's datagrams by what the reader asks for, up to 32 KiB; fewer are cheaper.
constexpr size_t bufferSize = 32 << 10;


std::string extendedAckText(Bytes attributes) {
  std::string text;
  eachAttribute(attributes, [&](const Attribute& attribute) {
    if (attribute.type == NLMSGERR_ATTR_MSG) text = attribute.text();
  });
  return text;
}

// Payload of NLMSG_ERROR: int, the request's header (the whole request unless NLM_F_CAPPED), attributes.
Ack readAck(const NetlinkMessage& message) {
  Ack ack;
  const auto error = readHeader<nlmsgerr>(message.payload);
  ack.error = error.error < 0 ? -error.error : 0;
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return ack;
  size_t echoed = sizeof(nlmsghdr);
  if ((message.flags & NLM_F_CAPPED) == 0) echoed = NLMSG_ALIGN(error.msg.nlmsg_len);
  ack.extAck = extendedAckText(after(message.payload, sizeof(int) + echoed));
  return ack;
}

// NLMSG_DONE carries an int (a dump's error) since 2.6, and extended ACK attributes after it since 4.20.
Ack readDone(const NetlinkMessage& message) {
  Ack ack;
  if (message.payload.size < sizeof(int)) return ack;
  const int error = readHeader<int>(message.payload);
  ack.error = error < 0 ? -error : 0;
  if ((message.flags & NLM_F_ACK_TLVS) != 0) ack.extAck = extendedAckText(after(message.payload, sizeof(int)));
  return ack;
}

}  // namespace

NetlinkSocket::NetlinkSocket(Open open, NetlinkCounters& counters, Options options)
    : open_(std::move(open)),
      counters_(counters),
      options_(options),
      buffer_(bufferSize),
      sequence_(static_cast<uint32_t>(::time(nullptr))) {}

Transport& NetlinkSocket::transport() {
  if (!transport_) transport_ = open_();
  return *transport_;
}

// What is still on its way would answer the wrong question, so the socket goes with the conversation.
void NetlinkSocket::fail(const std::string& subject, int number) {
  transport_.reset();
  throw Failure::system(FailureCode::netlink, subject, number);
}

void NetlinkSocket::send(MessageBatch& batch) {
  first_ = sequence_ + 1;
  sequence_ += static_cast<uint32_t>(batch.count());
  batch.number(first_);
  const int result = transport().send(batch.view());
  if (result < 0) fail("netlink send", -result);
  counters_.messages += batch.count();
  counters_.bytes += batch.size();
}

template <typename Visit>
void NetlinkSocket::receive(Visit&& visit) {
  const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
  ssize_t received;
  while ((received = transport().receive(buffer_.data(), buffer_.size())) < 0) {
    if (received == -EAGAIN) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) fail("no answer from the kernel", ETIMEDOUT);
      pollfd wait{transport_->fd(), POLLIN, 0};
      (void)::poll(&wait, 1, static_cast<int>(left.count()));
      continue;
    }
    fail("netlink receive", static_cast<int>(-received));
  }
  struct Wipe {
    uint8_t* data;
    size_t size;
    ~Wipe() {
      wipe(data, size);
    }
  } wipe{buffer_.data(), options_.secret ? static_cast<size_t>(received) : 0};
  Bytes rest{buffer_.data(), static_cast<size_t>(received)};
  try {
    while (rest.size > 0) {
      const auto header = readHeader<nlmsghdr>(rest);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size) malformed("message length");
      if (header.nlmsg_type == NLMSG_OVERRUN) throw Failure::system(FailureCode::netlink, "netlink overrun", ENOBUFS);
      NetlinkMessage message{header.nlmsg_type, header.nlmsg_flags,
                             {rest.data + sizeof header, header.nlmsg_len - sizeof header}};
      // Answers to what was given up, and notifications (sequence 0), are not ours to read here.
      const uint32_t index = header.nlmsg_seq - first_;
      if (header.nlmsg_type != NLMSG_NOOP && index <= sequence_ - first_) visit(message, index);
      const size_t step = NLMSG_ALIGN(static_cast<size_t>(header.nlmsg_len));
      rest = step < rest.size ? Bytes{rest.data + step, rest.size - step} : Bytes{};
    }
  } catch (...) {
    transport_.reset();
    throw;
  }
}

std::vector<Ack> NetlinkSocket::exchange(MessageBatch& batch, const Handler& handler) {
  std::vector<Ack> acks(batch.count());
  if (batch.empty()) return acks;
  batch.addFlagsToLast(NLM_F_ACK);
  send(batch);
  bool last = false;
  while (!last) {
    receive([&](const NetlinkMessage& message, uint32_t index) {
      if (message.type == NLMSG_ERROR) {
        acks[index] = readAck(message);
        last = last || index + 1 == acks.size();
      } else if (handler) {
        handler(message);
      }
    });
  }
  return acks;
}

void NetlinkSocket::beginDump(MessageBatch& batch) {
  batch.addFlagsToLast(NLM_F_DUMP);
  interrupted_ = false;
  send(batch);
}

DumpState NetlinkSocket::readDump(const std::string& subject, const Handler& handler) {
  bool done = false;
  Ack end;
  receive([&](const NetlinkMessage& message, uint32_t) {
    if (done) return;
    interrupted_ = interrupted_ || (message.flags & NLM_F_DUMP_INTR) != 0;
    if (message.type == NLMSG_ERROR || message.type == NLMSG_DONE) {
      end = message.type == NLMSG_ERROR ? readAck(message) : readDone(message);
      done = true;
    } else {
      handler(message);
    }
  });
  if (!done) return DumpState::more;
  if (end.error != 0) throw Failure::system(FailureCode::netlink, subject, end.error, end.extAck);
  if (!interrupted_) return DumpState::done;
  counters_.dumpsInterrupted++;
  return DumpState::interrupted;
}

}  // namespace corax
