// Attributes, messages and conversations, against a kernel that may lie.
#include "core/netlink/dump.h"

#include "core/netlink/attribute_reader.h"
#include "test/check.h"
#include "test/fake_netlink.h"

namespace corax::test {
namespace {

constexpr uint16_t requestType = 24;
constexpr uint16_t replyType = 100;

NetlinkSocket::Options quick() {
  NetlinkSocket::Options options;
  options.timeout = std::chrono::milliseconds(30);
  return options;
}

void put(MessageBatch& batch, size_t count) {
  for (size_t index = 0; index < count; index++) {
    batch.begin(requestType, 0);
    batch.integer<uint32_t>(1, static_cast<uint32_t>(index));
    batch.end();
  }
}

MessageBatch batchOf(size_t count) {
  MessageBatch batch;
  put(batch, count);
  return batch;
}

size_t countAttributes(const Datagram& bytes) {
  size_t count = 0;
  eachAttribute({bytes.data(), bytes.size()}, [&](const Attribute&) { count++; });
  return count;
}

int errorOf(const Datagram& bytes) { return failureOf([&] { countAttributes(bytes); }).number(); }

}  // namespace

TEST("a batch grows, keeps what is in it, and zeroes what aligns it") {
  for (const size_t reserve : {size_t{0}, size_t{16}, size_t{4096}}) {
    MessageBatch batch(reserve);
    for (uint8_t round = 0; round < 2; round++) {
      batch.begin(requestType, 0);
      const size_t nest = batch.open(9);
      for (uint8_t size = 0; size < 70; size++) {
        const Datagram value(size, static_cast<uint8_t>(size + round));
        batch.attribute(size, {value.data(), value.size()});
      }
      batch.close(nest);
      batch.end();
      uint8_t seen = 0;
      const Bytes list = after({batch.view().data + NLMSG_HDRLEN, batch.size() - NLMSG_HDRLEN}, NLA_HDRLEN);
      eachAttribute(list, [&](const Attribute& it) {
        CHECK_EQ(it.type, seen);
        CHECK_EQ(it.value.size, seen);
        for (size_t at = 0; at < it.value.size; at++) CHECK_EQ(it.value.data[at], static_cast<uint8_t>(seen + round));
        for (size_t at = it.value.size; at % NLA_ALIGNTO != 0; at++) CHECK_EQ(it.value.data[at], 0);
        seen++;
      });
      CHECK_EQ(seen, 70);
      batch.wipe();
      CHECK(batch.empty());
      CHECK_EQ(batch.size(), 0);
    }
  }
}

TEST("attributes: good ones are read, padding may be cut off at the end") {
  CHECK_EQ(countAttributes({}), 0);
  CHECK_EQ(countAttributes(attribute(1, {})), 1);
  CHECK_EQ(countAttributes(attribute(1, {1}) + attribute(2, {1, 2, 3, 4, 5})), 2);
  Datagram unpadded = attribute(1, {1, 2, 3, 4}) + attribute(2, {9});
  unpadded.resize(unpadded.size() - 3);
  CHECK_EQ(countAttributes(unpadded), 2);
  CHECK_EQ(countAttributes(attribute(1, {}) + Datagram{0, 0, 0}), 1);
}

TEST("attributes: lengths that lie are EBADMSG") {
  for (uint16_t length = 0; length < 4; length++) {
    CHECK_EQ(errorOf(bytesOf(nlattr{length, 1})), EBADMSG);
    CHECK_EQ(errorOf(attribute(7, {1}) + bytesOf(nlattr{length, 1})), EBADMSG);
  }
  CHECK_EQ(errorOf(bytesOf(nlattr{5, 1})), EBADMSG);
  CHECK_EQ(errorOf(bytesOf(nlattr{0xffff, 1}) + Datagram(64)), EBADMSG);
  // A nest whose last member reaches beyond it, into what follows the nest.
  const Datagram nest = attribute(3, attribute(1, {1}) + bytesOf(nlattr{12, 2})) + Datagram(64);
  CHECK_EQ(failureOf([&] {
             eachAttribute({nest.data(), nest.size()}, [](const Attribute& outer) {
               eachAttribute(outer.value, [](const Attribute&) {});
             });
           }).number(),
           EBADMSG);
}

TEST("attributes: values shorter than their type are EBADMSG, text ends at its NUL or its attribute") {
  const auto first = [](const Datagram& bytes, auto&& read) {
    eachAttribute({bytes.data(), bytes.size()}, read);
  };
  CHECK_EQ(failureOf([&] { first(attribute(1, {1, 2, 3}), [](const Attribute& it) { (void)it.integer<uint32_t>(); }); }).number(), EBADMSG);
  first(attribute(1, {1, 0, 0, 0, 9}), [](const Attribute& it) { CHECK_EQ(it.integer<uint32_t>(), 1); });
  first(attribute(1, {'a', 'b', 0, 'c'}), [](const Attribute& it) { CHECK_EQ(it.text(), "ab"); });
  first(attribute(1, {'a', 'b'}), [](const Attribute& it) { CHECK_EQ(it.text(), "ab"); });
  first(attribute(1, {}), [](const Attribute& it) { CHECK_EQ(it.text(), ""); });
  first(attribute(0x8000 | 5, {}), [](const Attribute& it) { CHECK_EQ(it.type, 5); });
}

TEST("messages: a nest or attribute of over 64 KiB is refused, not cut") {
  MessageBatch batch;
  batch.begin(1, 0);
  const std::vector<uint8_t> big(70'000);
  CHECK_EQ(failureOf([&] { batch.attribute(1, big.data(), big.size()); }).number(), EMSGSIZE);
  const size_t nest = batch.open(1);
  batch.attribute(1, big.data(), 40'000);
  batch.attribute(1, big.data(), 40'000);
  CHECK_EQ(failureOf([&] { batch.close(nest); }).number(), EMSGSIZE);
}

TEST("exchange: one send, one ACK asked for, errors matched by sequence with the kernel's words") {
  FakeKernel kernel([](const std::vector<Request>& requests) {
    CHECK_EQ(requests.size(), 5);
    for (size_t index = 0; index < 5; index++) CHECK_EQ((requests[index].flags & NLM_F_ACK) != 0, index == 4);
    return std::vector<Datagram>{ack(requests[1], EEXIST), ack(requests[3], ENETUNREACH, "Nexthop has invalid gateway"),
                                 ack(requests[4])};
  });
  NetlinkCounters counters;
  NetlinkSocket socket(kernel.open(), counters, quick());
  MessageBatch batch = batchOf(5);
  const std::vector<Ack> acks = socket.exchange(batch);
  const int expected[] = {0, EEXIST, 0, ENETUNREACH, 0};
  for (size_t index = 0; index < 5; index++) CHECK_EQ(acks[index].error, expected[index]);
  CHECK_EQ(acks[3].extAck, "Nexthop has invalid gateway");
  CHECK_EQ(kernel.datagrams, 1);
  CHECK_EQ(counters.messages.load(), 5);
  CHECK_EQ(counters.bytes.load(), batch.size());
  MessageBatch none;
  CHECK(socket.exchange(none).empty());
  CHECK_EQ(kernel.datagrams, 1);
}

TEST("exchange: the kernel's own errors, capped and whole, as captured") {
  for (const char* name : {"error-capped.bin", "error-whole.bin"}) {
    FakeKernel kernel([&](const std::vector<Request>& requests) { return answering(fixture(name), requests[0].sequence); });
    NetlinkCounters counters;
    NetlinkSocket socket(kernel.open(), counters, quick());
    MessageBatch batch = batchOf(1);
    const Ack answer = socket.exchange(batch)[0];
    CHECK_EQ(answer.error, EINVAL);
    CHECK_EQ(answer.extAck, "Invalid prefix for given prefix length");
  }
}

TEST("exchange: answers to other questions are passed over, with any sequence number") {
  FakeKernel kernel([](const std::vector<Request>& requests) {
    std::vector<Datagram> answers;
    for (const uint32_t offset : {0xffffffffu, 1u, 2u, 1000u, 0x80000000u}) {
      Request other = requests[0];
      other.sequence += offset;
      answers.push_back(ack(other, EPERM));
      answers.push_back(message(replyType, 0, other.sequence, {1}));
    }
    answers.push_back(message(replyType, 0, 0, {2}));
    answers.push_back(message(replyType, 0, requests[0].sequence, {3}));
    answers.push_back(ack(requests[0]));
    return answers;
  });
  NetlinkCounters counters;
  NetlinkSocket socket(kernel.open(), counters, quick());
  MessageBatch batch = batchOf(1);
  std::vector<uint8_t> seen;
  CHECK_EQ(socket.exchange(batch, [&](const NetlinkMessage& it) { seen.push_back(it.payload.data[0]); })[0].error, 0);
  CHECK_EQ(seen.size(), 1);
  CHECK_EQ(seen[0], 3);
}

TEST("exchange: silence is ETIMEDOUT, and the next conversation starts on a new socket") {
  bool silent = true;
  FakeKernel kernel([&](const std::vector<Request>& requests) {
    return silent ? std::vector<Datagram>{} : std::vector<Datagram>{ack(requests[0])};
  });
  NetlinkCounters counters;
  NetlinkSocket socket(kernel.open(), counters, quick());
  MessageBatch batch = batchOf(1);
  const Failure failure = failureOf([&] { socket.exchange(batch); });
  CHECK_EQ(failure.number(), ETIMEDOUT);
  CHECK_EQ(failure.what(), "no answer from the kernel: Connection timed out (ETIMEDOUT)");
  silent = false;
  MessageBatch again = batchOf(1);
  CHECK_EQ(socket.exchange(again)[0].error, 0);
  CHECK_EQ(kernel.opened, 2);
}

TEST("exchange: lost messages, overruns and nonsense end the conversation and its socket") {
  struct Trouble {
    int expected;
    int receiveFails;
    Datagram answer;
  };
  nlmsghdr tooLong{};
  tooLong.nlmsg_len = 64;
  nlmsghdr tooShort{};
  tooShort.nlmsg_len = 15;
  const std::vector<Trouble> troubles = {
      {ENOBUFS, ENOBUFS, {}},
      {EMSGSIZE, EMSGSIZE, {}},
      {EMSGSIZE, 0, Datagram(40 << 10)},
      {ENOBUFS, 0, message(NLMSG_OVERRUN, 0, 0, {})},
      {EBADMSG, 0, bytesOf(tooLong)},
      {EBADMSG, 0, bytesOf(tooShort)},
      {EBADMSG, 0, {1, 2, 3}},
  };
  for (const Trouble& it : troubles) {
    bool good = false;
    FakeKernel kernel([&](const std::vector<Request>& requests) {
      return std::vector<Datagram>{good ? ack(requests[0]) : it.answer};
    });
    NetlinkCounters counters;
    NetlinkSocket socket(kernel.open(), counters, quick());
    MessageBatch first = batchOf(1);
    good = true;
    CHECK_EQ(socket.exchange(first)[0].error, 0);
    good = it.receiveFails != 0;
    kernel.latest->failure = it.receiveFails;
    MessageBatch second = batchOf(1);
    CHECK_EQ(failureOf([&] { socket.exchange(second); }).number(), it.expected);
    good = true;
    MessageBatch third = batchOf(1);
    CHECK_EQ(socket.exchange(third)[0].error, 0);
    CHECK_EQ(kernel.opened, 2);
  }
}

TEST("exchange: an ACK whose attributes lie is EBADMSG") {
  FakeKernel kernel([](const std::vector<Request>& requests) {
    nlmsgerr body{};
    body.error = -EINVAL;
    // Says that the whole request follows, but it does not.
    body.msg.nlmsg_len = 0xfffffff0;
    const Datagram whole = message(NLMSG_ERROR, NLM_F_ACK_TLVS, requests[0].sequence, bytesOf(body));
    const Datagram bad = message(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, requests[0].sequence,
                                 bytesOf(body) + bytesOf(nlattr{200, NLMSGERR_ATTR_MSG}));
    return std::vector<Datagram>{requests[0].payload[4] == 0 ? whole : bad};
  });
  NetlinkCounters counters;
  NetlinkSocket socket(kernel.open(), counters, quick());
  // No room for words is no words.
  MessageBatch batch = batchOf(1);
  CHECK_EQ(socket.exchange(batch)[0].error, EINVAL);
  MessageBatch second;
  second.begin(requestType, 0);
  second.integer<uint32_t>(1, 1);
  second.end();
  CHECK_EQ(failureOf([&] { socket.exchange(second); }).number(), EBADMSG);
}

TEST("dump: datagrams one by one, errors at its start and at its end") {
  int error = 0;
  bool atStart = false;
  FakeKernel kernel([&](const std::vector<Request>& requests) {
    const Request& it = requests[0];
    CHECK((it.flags & NLM_F_DUMP) == NLM_F_DUMP);
    if (atStart) return std::vector<Datagram>{ack(it, error, "no such thing")};
    return std::vector<Datagram>{message(replyType, NLM_F_MULTI, it.sequence, {1}),
                                 message(replyType, NLM_F_MULTI, it.sequence, {2}) + done(it, error)};
  });
  NetlinkCounters counters;
  NetlinkSocket socket(kernel.open(), counters, quick());
  std::vector<uint8_t> seen;
  const auto handler = [&](const NetlinkMessage& it) { seen.push_back(it.payload.data[0]); };
  const auto dump = [&](Dump& reader) {
    return reader.advance(socket, "DUMP", [](MessageBatch& batch) { put(batch, 1); }, [&] { seen.clear(); }, handler);
  };
  Dump good;
  CHECK(!dump(good));
  CHECK_EQ(seen.size(), 1);
  CHECK(dump(good));
  CHECK_EQ(seen.size(), 2);

  error = ENODEV;
  Dump failing;
  CHECK(!dump(failing));
  CHECK_EQ(failureOf([&] { dump(failing); }).what(), "DUMP: No such device (ENODEV)");
  atStart = true;
  Dump refused;
  CHECK_EQ(failureOf([&] { dump(refused); }).what(), "DUMP: No such device (ENODEV): no such thing");
  // None of these spoils the socket.
  CHECK_EQ(kernel.opened, 1);
}

TEST("dump: interrupted is read to its end and asked for again, but not for ever") {
  int interruptions = 2;
  FakeKernel kernel([&](const std::vector<Request>& requests) {
    const uint16_t flag = interruptions-- > 0 ? NLM_F_DUMP_INTR : 0;
    return std::vector<Datagram>{
        message(replyType, static_cast<uint16_t>(NLM_F_MULTI | flag), requests[0].sequence, {1}),
        message(replyType, NLM_F_MULTI, requests[0].sequence, {2}), done(requests[0])};
  });
  NetlinkCounters counters;
  NetlinkSocket socket(kernel.open(), counters, quick());
  size_t seen = 0;
  const auto run = [&] {
    Dump dump;
    while (!dump.advance(socket, "DUMP", [](MessageBatch& batch) { put(batch, 1); }, [&] { seen = 0; },
                         [&](const NetlinkMessage&) { seen++; })) {
    }
  };
  run();
  CHECK_EQ(seen, 2);
  CHECK_EQ(kernel.datagrams, 3);
  CHECK_EQ(counters.dumpsInterrupted.load(), 2);
  interruptions = 1000;
  CHECK_EQ(failureOf(run).number(), EINTR);
  CHECK_EQ(kernel.datagrams, 3 + Dump::maxAttempts);
  interruptions = 0;
  run();
  CHECK_EQ(kernel.opened, 1);
}

}  // namespace corax::test
