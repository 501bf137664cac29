// The kernel's side of a netlink conversation, over a socketpair, with answers that a test writes.
#pragma once

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/netlink/message_batch.h"
#include "core/netlink/socket.h"
#include "core/netlink/transport.h"
#include "test/check.h"

namespace corax::test {

using Datagram = std::vector<uint8_t>;

// One request that the code under test sent.
struct Request {
  uint16_t type;
  uint16_t flags;
  uint32_t sequence;
  // What follows nlmsghdr.
  Datagram payload;

  Bytes view() const { return {payload.data(), payload.size()}; }
};

inline std::vector<Request> requestsIn(const Datagram& datagram) {
  std::vector<Request> requests;
  for (size_t at = 0; at < datagram.size();) {
    nlmsghdr header;
    if (datagram.size() - at < sizeof header) fail(__FILE__, __LINE__, "a request is cut off");
    std::memcpy(&header, &datagram[at], sizeof header);
    if (header.nlmsg_len < sizeof header || at + header.nlmsg_len > datagram.size()) fail(__FILE__, __LINE__, "a request lies about its length");
    const auto start = datagram.begin() + static_cast<std::ptrdiff_t>(at);
    requests.push_back({header.nlmsg_type, header.nlmsg_flags, header.nlmsg_seq,
                        Datagram(start + sizeof header, start + static_cast<std::ptrdiff_t>(header.nlmsg_len))});
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  return requests;
}

// A message with this payload, as the kernel would send it.
inline Datagram message(uint16_t type, uint16_t flags, uint32_t sequence, const Datagram& payload, uint32_t port = 0) {
  nlmsghdr header{};
  header.nlmsg_pid = port;
  header.nlmsg_len = static_cast<uint32_t>(sizeof header + payload.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  Datagram result(sizeof header + NLMSG_ALIGN(payload.size()));
  std::memcpy(result.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(&result[sizeof header], payload.data(), payload.size());
  return result;
}

inline Datagram operator+(Datagram left, const Datagram& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

template <typename T>
Datagram bytesOf(const T& value) {
  Datagram bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline Datagram attribute(uint16_t type, const Datagram& value) {
  Datagram bytes = bytesOf(nlattr{static_cast<uint16_t>(NLA_HDRLEN + value.size()), type}) + value;
  bytes.resize(NLA_ALIGN(bytes.size()));
  return bytes;
}

inline Datagram textBytes(const std::string& text) { return Datagram(text.c_str(), text.c_str() + text.size() + 1); }

// NLMSG_ERROR as a kernel with NETLINK_CAP_ACK and NETLINK_EXT_ACK writes it.
inline Datagram ack(const Request& request, int error = 0, const std::string& words = "") {
  nlmsgerr body{};
  body.error = -error;
  body.msg.nlmsg_type = request.type;
  body.msg.nlmsg_len = static_cast<uint32_t>(sizeof(nlmsghdr) + request.payload.size());
  Datagram payload = bytesOf(body);
  uint16_t flags = NLM_F_CAPPED;
  if (!words.empty()) {
    payload = payload + attribute(NLMSGERR_ATTR_MSG, textBytes(words));
    flags |= NLM_F_ACK_TLVS;
  }
  return message(NLMSG_ERROR, flags, request.sequence, payload);
}

inline Datagram done(const Request& request, int error = 0) {
  return message(NLMSG_DONE, NLM_F_MULTI, request.sequence, bytesOf(-error));
}

// Answers each datagram that comes in with datagrams of its own.
using Answer = std::function<std::vector<Datagram>(const std::vector<Request>&)>;

// One end of a socketpair, whose other end answers within send(), as the kernel does.
class PairTransport final : public Transport {
 public:
  explicit PairTransport(Answer answer) : answer_(std::move(answer)) {
    int ends[2];
    CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    ours_ = Fd(ends[0]);
    kernel_ = Fd(ends[1]);
    const int room = 8 << 20;
    for (const int end : ends) {
      (void)::setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
      (void)::setsockopt(end, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    }
  }

  int fd() const override { return ours_.get(); }
  uint32_t portId() const override { return port; }

  int send(Bytes datagram) override {
    if (::send(ours_.get(), datagram.data, datagram.size, 0) < 0) return -errno;
    Datagram received(datagram.size);
    CHECK(::recv(kernel_.get(), received.data(), received.size(), 0) == static_cast<ssize_t>(received.size()));
    for (const Datagram& reply : answer_(requestsIn(received))) push(reply);
    return 0;
  }

  ssize_t receive(uint8_t* buffer, size_t size) override {
    if (failure != 0) return failing ? -failure : -std::exchange(failure, 0);
    iovec vector{buffer, size};
    msghdr header{};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    const ssize_t received = ::recvmsg(ours_.get(), &header, MSG_DONTWAIT);
    if (received < 0) return -errno;
    return (header.msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : received;
  }

  // From the kernel's end, unasked.
  void push(const Datagram& datagram) {
    if (!datagram.empty()) CHECK(::send(kernel_.get(), datagram.data(), datagram.size(), 0) >= 0);
  }

  // The next receive() fails with this errno; every one while it is `failing`.
  int failure = 0;
  bool failing = false;
  uint32_t port = 4711;

 private:
  Answer answer_;
  Fd ours_;
  Fd kernel_;
};

// Opens PairTransports, counts them, and remembers the latest.
class FakeKernel {
 public:
  explicit FakeKernel(Answer answer) : answer_(std::move(answer)) {}

  NetlinkSocket::Open open() {
    return [this] {
      auto transport = std::make_unique<PairTransport>([this](const std::vector<Request>& requests) {
        datagrams++;
        all.insert(all.end(), requests.begin(), requests.end());
        return answer_(requests);
      });
      opened++;
      latest = transport.get();
      return transport;
    };
  }

  int opened = 0;
  int datagrams = 0;
  PairTransport* latest = nullptr;
  std::vector<Request> all;

 private:
  Answer answer_;
};

// A file of captured datagrams, each behind its length (fixtures/README.md).
inline std::vector<Datagram> fixture(const std::string& name) {
  std::vector<Datagram> datagrams;
  const std::string path = std::string(FIXTURES) + "/" + name;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) fail(__FILE__, __LINE__, "no fixture " + path);
  uint32_t size;
  while (std::fread(&size, sizeof size, 1, file) == 1) {
    datagrams.emplace_back(size);
    CHECK(std::fread(datagrams.back().data(), size, 1, file) == 1);
  }
  std::fclose(file);
  CHECK(!datagrams.empty());
  return datagrams;
}

// The same datagrams as an answer to this request.
inline std::vector<Datagram> answering(std::vector<Datagram> datagrams, uint32_t sequence) {
  for (Datagram& datagram : datagrams) {
    for (size_t at = 0; at + sizeof(nlmsghdr) <= datagram.size();) {
      nlmsghdr header;
      std::memcpy(&header, &datagram[at], sizeof header);
      std::memcpy(&datagram[at + offsetof(nlmsghdr, nlmsg_seq)], &sequence, sizeof sequence);
      // A fuzzer's length.
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) break;
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
  }
  return datagrams;
}

// The failure that a call throws.
template <typename Call>
Failure failureOf(Call&& call) {
  try {
    call();
  } catch (const Failure& failure) {
    return failure;
  }
  fail(__FILE__, __LINE__, "nothing was thrown");
}

}  // namespace corax::test
