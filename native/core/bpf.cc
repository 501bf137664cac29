#include "core/bpf.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>

#include "core/failure.h"
#include "core/handshake_packet.h"
#include "core/probe_packet.h"
#include "core/udp_packet.h"

namespace corax {
namespace {

constexpr uint16_t loadByte = BPF_LD | BPF_B | BPF_ABS;
constexpr uint16_t loadHalf = BPF_LD | BPF_H | BPF_ABS;
// Relative to the end of the IP header, once X holds its length.
constexpr uint16_t loadByteX = BPF_LD | BPF_B | BPF_IND;
constexpr uint16_t loadHalfX = BPF_LD | BPF_H | BPF_IND;
constexpr uint16_t loadWordX = BPF_LD | BPF_W | BPF_IND;
constexpr uint16_t equal = BPF_JMP | BPF_JEQ | BPF_K;
constexpr uint16_t greater = BPF_JMP | BPF_JGT | BPF_K;
constexpr uint16_t atLeast = BPF_JMP | BPF_JGE | BPF_K;
constexpr uint16_t anyBit = BPF_JMP | BPF_JSET | BPF_K;

// Type and code (RFC 792).
constexpr uint32_t echoReplyStart = 0x0000;
constexpr uint32_t echoRequestStart = 0x0800;
constexpr uint32_t fragmentBits = 0x3fff;  // RFC 791: more fragments, and the offset

// Jumps are relative and only forward, so they are written with labels and resolved at the end. A load beyond
// the packet's end drops it (the kernel's rule for classic BPF).
class Assembler {
 public:
  enum Label : uint8_t { next, drop, accept, second, third, labels };

  void load(uint16_t code, uint32_t offset) { code_.push_back({code, 0, 0, offset}); }
  // X = length of the IP header, which has options now and then.
  void skipIpHeader() { code_.push_back({BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0}); }
  void jump(uint16_t code, uint32_t operand, Label yes, Label no) { code_.push_back({code, yes, no, operand}); }
  void bind(Label label) { at_[label] = code_.size(); }

  void common(uint8_t protocol) {
    load(loadByte, 9);
    jump(equal, protocol, next, drop);
    load(loadHalf, 6);
    jump(anyBit, fragmentBits, drop, next);
    skipIpHeader();
  }

  // UDP with room for a STUN header, and not too long.
  void stunLength() {
    load(loadHalfX, 4);
    jump(atLeast, udpHeaderSize + stunHeaderSize, next, drop);
    jump(greater, udpHeaderSize + maxUdpPayload, drop, next);
  }

  void stunResponse() {
    load(loadHalfX, udpHeaderSize);
    jump(equal, stunBindingSuccess, third, next);
    jump(equal, stunBindingError, third, drop);
    bind(third);
    load(loadWordX, udpHeaderSize + 4);
    jump(equal, stunMagicCookie, accept, drop);
  }

  void probe() {
    common(IPPROTO_ICMP);
    load(loadWordX, icmpHeaderSize);
    jump(equal, probeMagic, next, drop);
  }

  void token(uint64_t token, Label same, Label other) {
    load(loadWordX, icmpHeaderSize + 8);
    jump(equal, static_cast<uint32_t>(token >> 32), next, other);
    load(loadWordX, icmpHeaderSize + 12);
    jump(equal, static_cast<uint32_t>(token), same, other);
  }

  BpfProgram finish() {
    bind(accept);
    code_.push_back({BPF_RET | BPF_K, 0, 0, UINT32_MAX});
    bind(drop);
    code_.push_back({BPF_RET | BPF_K, 0, 0, 0});
    for (size_t i = 0; i < code_.size(); ++i) {
      if (BPF_CLASS(code_[i].code) != BPF_JMP) continue;
      code_[i].jt = distance(i, code_[i].jt);
      code_[i].jf = distance(i, code_[i].jf);
    }
    return std::move(code_);
  }

 private:
  uint8_t distance(size_t from, uint8_t label) const {
    return label == next ? 0 : static_cast<uint8_t>(at_[label] - from - 1);
  }

  BpfProgram code_;
  size_t at_[labels] = {};
};

void attach(int fd, const BpfProgram& program) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
    throw Failure::system(FailureCode::socket, "attach a packet filter", errno);
}

}  // namespace

BpfProgram dropAllFilter() { return {{BPF_RET | BPF_K, 0, 0, 0}}; }

BpfProgram stunFilter(const std::vector<uint16_t>& ports) {
  using A = Assembler;
  A a;
  a.common(IPPROTO_UDP);
  a.stunLength();
  a.load(loadHalfX, 2);
  for (size_t i = 0; i < ports.size(); ++i)
    a.jump(equal, ports[i], A::second, i + 1 < ports.size() ? A::next : A::drop);
  a.bind(A::second);
  a.stunResponse();
  return a.finish();
}

BpfProgram stunFilter() {
  Assembler a;
  // Most packets are not UDP of that form: they leave the program early.
  a.common(IPPROTO_UDP);
  a.stunLength();
  a.stunResponse();
  return a.finish();
}

BpfProgram handshakeFilter(const std::vector<uint16_t>& ports) {
  using A = Assembler;
  A a;
  a.common(IPPROTO_UDP);
  a.load(loadHalfX, 4);
  a.jump(equal, udpHeaderSize + initiationSize, A::next, A::second);
  a.load(loadWordX, udpHeaderSize);
  a.jump(equal, initiationStart, A::third, A::drop);
  a.bind(A::second);
  a.jump(equal, udpHeaderSize + responseSize, A::next, A::drop);
  a.load(loadWordX, udpHeaderSize);
  a.jump(equal, responseStart, A::third, A::drop);
  a.bind(A::third);
  a.load(loadHalfX, 0);
  for (const uint16_t port : ports) a.jump(equal, port, A::accept, A::next);
  a.load(loadHalfX, 2);
  for (size_t i = 0; i < ports.size(); ++i)
    a.jump(equal, ports[i], A::accept, i + 1 < ports.size() ? A::next : A::drop);
  return a.finish();
}

BpfProgram rendezvousFilter(uint16_t port, size_t maxPayload) {
  using A = Assembler;
  A a;
  a.common(IPPROTO_UDP);
  a.load(loadHalfX, 4);
  a.jump(atLeast, udpHeaderSize + 1, A::next, A::drop);
  a.jump(greater, static_cast<uint32_t>(udpHeaderSize + maxPayload), A::drop, A::next);
  a.load(loadHalfX, 0);
  a.jump(equal, port, A::next, A::drop);
  a.load(loadHalfX, 2);
  a.jump(equal, port, A::accept, A::drop);
  return a.finish();
}

BpfProgram probeFilter(uint64_t token) {
  using A = Assembler;
  A a;
  a.probe();
  a.load(loadHalfX, 0);
  a.jump(equal, echoRequestStart, A::second, A::next);
  // Echo reply: ours only.
  a.jump(equal, echoReplyStart, A::next, A::drop);
  a.token(token, A::accept, A::drop);
  // Echo request: others' only.
  a.bind(A::second);
  a.token(token, A::drop, A::accept);
  return a.finish();
}

BpfProgram probeRequestFilter(uint64_t token) {
  using A = Assembler;
  A a;
  a.probe();
  a.load(loadHalfX, 0);
  a.jump(equal, echoRequestStart, A::next, A::drop);
  a.token(token, A::drop, A::accept);
  return a.finish();
}

void attachFilter(int fd, const BpfProgram& program) {
  attach(fd, dropAllFilter());
  char byte;
  while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == EINTR) continue;
  if (errno != EAGAIN) throw Failure::system(FailureCode::socket, "empty a socket", errno);
  attach(fd, program);
}

}  // namespace corax
