// A network for the prober that runs on a clock of the test's own: no socket, no sleep.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/icmp_prober.h"
#include "test/packets.h"

namespace corax::test {

using std::chrono::milliseconds;

// The ICMP reply to a probe as the far kernel makes it, from the IP header on.
inline Packet replyTo(const OutgoingProbe& probe) {
  IpFields fields;
  fields.source = probe.destination;
  fields.destination = probe.source;
  fields.protocol = IPPROTO_ICMP;
  fields.tos = probe.tos;
  Packet icmp(probe.head.begin(), probe.head.end());
  icmp.resize(probe.size - 20);
  icmp[0] = 0;
  put16(&icmp[2], 0);
  put16(&icmp[2], internetChecksum({icmp.data(), icmp.size()}));
  return ipPacket(fields, icmp);
}

class FakeNetwork {
 public:
  // What becomes of a probe: the reply's delay, or nothing.
  std::function<std::optional<Clock::duration>(const OutgoingProbe&)> path = [](const OutgoingProbe&) {
    return std::optional<Clock::duration>(milliseconds(40));
  };
  // The errno of sending it.
  std::function<int(const OutgoingProbe&)> error = [](const OutgoingProbe&) { return 0; };
  // How many may be sent before the send buffer is full.
  size_t room = SIZE_MAX;
  bool keepSent = true;
  // By which replies and requests come in.
  uint32_t ifindex = 7;
  // A packet that comes in faster than it is read; empty = none.
  Packet flood;

  Clock::time_point now{std::chrono::hours(1000)};
  std::vector<std::pair<Clock::time_point, OutgoingProbe>> sent;
  std::multimap<Clock::time_point, Packet> onTheWay;

  void deliver(Clock::time_point at, Packet packet) { onTheWay.emplace(at, std::move(packet)); }
  // Unix time of the same instant.
  static int64_t unix(Clock::time_point at) { return 1'700'000'000'000'000'000 + at.time_since_epoch().count(); }

  // Moves what has arrived by now into the socket's buffer.
  void arrive() {
    while (!onTheWay.empty() && onTheWay.begin()->first <= now) {
      waiting_.emplace_back(onTheWay.begin()->first, std::move(onTheWay.begin()->second));
      onTheWay.erase(onTheWay.begin());
    }
  }
  bool readable() const { return !waiting_.empty(); }

 private:
  friend class FakeProbeSocket;
  std::deque<std::pair<Clock::time_point, Packet>> waiting_;
  std::vector<Packet> read_;
  std::array<IncomingPacket, ProbeSocket::batch> packets_{};
};

class FakeProbeSocket final : public ProbeSocket {
 public:
  explicit FakeProbeSocket(FakeNetwork& network) : network_(network) {}
  int fd() const override { return -1; }
  int64_t clock() const override { return FakeNetwork::unix(network_.now); }

  size_t send(OutgoingProbe* probes, size_t count) override {
    count = std::min(count, network_.room);
    if (network_.room != SIZE_MAX) network_.room -= count;
    for (size_t i = 0; i < count; ++i) {
      OutgoingProbe& probe = probes[i];
      probe.error = network_.error(probe);
      probe.sentAt = FakeNetwork::unix(network_.now);
      if (network_.keepSent) network_.sent.emplace_back(network_.now, probe);
      if (probe.error != 0) continue;
      if (const auto delay = network_.path(probe)) network_.deliver(network_.now + *delay, replyTo(probe));
    }
    return count;
  }

  size_t receive(const IncomingPacket*& packets) override {
    network_.read_.clear();
    size_t count = 0;
    if (!network_.flood.empty()) {
      network_.now += std::chrono::microseconds(100);
      network_.arrive();
      while (network_.waiting_.size() < 10 * batch) network_.waiting_.emplace_back(network_.now, network_.flood);
    }
    for (; count < batch && !network_.waiting_.empty(); ++count) {
      auto& [at, packet] = network_.waiting_.front();
      network_.read_.push_back(std::move(packet));
      network_.packets_[count].receivedAt = FakeNetwork::unix(at);
      network_.packets_[count].ifindex = network_.ifindex;
      network_.waiting_.pop_front();
    }
    for (size_t i = 0; i < count; ++i) {
      // As from the real socket: no more than the head.
      network_.packets_[i].data = network_.read_[i].data();
      network_.packets_[i].length = std::min(network_.read_[i].size(), probeReadSize);
    }
    packets = network_.packets_.data();
    return count;
  }

 private:
  FakeNetwork& network_;
};

// A prober on a fake network, and what it reported.
class Bench {
 public:
  static constexpr uint64_t token = 0x1122334455667788;

  FakeNetwork network;
  std::vector<std::pair<Clock::time_point, ProbeEvent>> probes;
  std::vector<RemoteStateEvent> states;
  size_t wakeups = 0;
  // Nobody takes events any more.
  bool deaf = false;

  IcmpProber prober{[this](Event&& event) { return take(event); }, token, std::make_unique<FakeProbeSocket>(network),
                    [this] { return network.now; }};

  Clock::time_point now() const { return network.now; }

  // Lets time pass, waking the prober as its thread would.
  void run(Clock::duration time) {
    const Clock::time_point end = network.now + time;
    for (;;) {
      network.arrive();
      if (network.readable()) {
        ++wakeups;
        prober.onReadable();
        continue;
      }
      const auto due = prober.deadline();
      if (due && *due <= network.now) {
        ++wakeups;
        prober.onDeadline(network.now);
        continue;
      }
      Clock::time_point next = end;
      if (due) next = std::min(next, *due);
      if (!network.onTheWay.empty()) next = std::min(next, network.onTheWay.begin()->first);
      if (next >= end) break;
      network.now = next;
    }
    network.now = end;
  }

  // The thread is busy elsewhere: time passes, packets pile up, nobody wakes the prober.
  void holdUp(Clock::duration time) {
    network.now += time;
    network.arrive();
  }

  static ProbeTarget target(uint32_t id) {
    ProbeTarget target{};
    target.id = id;
    target.source = ip("10.244.1.1");
    target.destination.s_addr = htonl(0x0a000000u + id + 1);
    target.tos = 0x10;
    target.intervalMs = 1000;
    target.fastIntervalMs = 250;
    target.size = 84;
    target.state = 1;
    return target;
  }

 private:
  bool take(Event& event) {
    if (deaf) return false;
    if (auto* probe = std::get_if<ProbeEvent>(&event)) probes.emplace_back(network.now, *probe);
    if (auto* state = std::get_if<RemoteStateEvent>(&event)) states.push_back(*state);
    return true;
  }
};

}  // namespace corax::test
