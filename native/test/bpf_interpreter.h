// Classic BPF as the kernel runs it: enough of it to try our filters without a socket.
#pragma once

#include <linux/filter.h>

#include <stdexcept>

#include "core/bpf.h"
#include "test/packets.h"

namespace corax::test {

// What the program returns: 0 drops the packet.
inline uint32_t runBpf(const BpfProgram& program, const Packet& packet) {
  uint32_t a = 0;
  uint32_t x = 0;
  const auto load = [&](uint64_t at, size_t size, uint32_t& into) {
    if (at + size > packet.size()) return false;
    into = size == 1 ? packet[at] : size == 2 ? get16(&packet[at]) : get32(&packet[at]);
    return true;
  };
  for (size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& op = program[pc];
    const size_t size = BPF_SIZE(op.code) == BPF_B ? 1 : BPF_SIZE(op.code) == BPF_H ? 2 : 4;
    switch (op.code) {
      case BPF_LD | BPF_B | BPF_ABS:
      case BPF_LD | BPF_H | BPF_ABS:
      case BPF_LD | BPF_W | BPF_ABS:
        if (!load(op.k, size, a)) return 0;
        break;
      case BPF_LD | BPF_B | BPF_IND:
      case BPF_LD | BPF_H | BPF_IND:
      case BPF_LD | BPF_W | BPF_IND:
        if (!load(uint64_t{x} + op.k, size, a)) return 0;
        break;
      case BPF_LDX | BPF_B | BPF_MSH:
        if (!load(op.k, 1, x)) return 0;
        x = (x & 0xf) * 4;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K: pc += a == op.k ? op.jt : op.jf; break;
      case BPF_JMP | BPF_JGT | BPF_K: pc += a > op.k ? op.jt : op.jf; break;
      case BPF_JMP | BPF_JGE | BPF_K: pc += a >= op.k ? op.jt : op.jf; break;
      case BPF_JMP | BPF_JSET | BPF_K: pc += (a & op.k) != 0 ? op.jt : op.jf; break;
      case BPF_RET | BPF_K: return op.k;
      default: throw std::logic_error("an instruction that the interpreter does not know");
    }
  }
  throw std::logic_error("the program ran off its end");
}

}  // namespace corax::test
