// XFRM netlink: captured dumps and events, lies, deltas, and what deletions look like.
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

#include <map>
#include <random>

#include "core/netlink/attribute_reader.h"
#include "core/xfrm/decode.h"
#include "core/xfrm/history.h"
#include "core/xfrm/jobs.h"
#include "core/xfrm/watch.h"
#include "test/check.h"
#include "test/fake_engine.h"
#include "test/mailbox.h"
#include "test/watching.h"

namespace corax::test {
namespace {

Answer captured(const char* name) {
  return [name](const std::vector<Request>& requests) { return answering(fixture(name), requests[0].sequence); };
}

std::string textOf(const uint8_t* sixteen) {
  return Ip::from(isMapped(sixteen) ? Bytes{sixteen + 12, 4} : Bytes{sixteen, 16})->text();
}

std::string prefixOf(const std::vector<uint8_t>& column, size_t index) {
  const uint8_t* prefix = &column[index * 18];
  CHECK_EQ(prefix[0], isMapped(prefix + 2) ? 4 : 6);
  return textOf(prefix + 2) + "/" + std::to_string(prefix[1]);
}

XfrmStates statesIn(const char* name) {
  JobRunner runner(silent, silent, captured(name));
  XfrmSnapshotJob job;
  runner.run(job);
  return std::move(job.states);
}

// SPI → position.
std::map<uint32_t, size_t> bySpi(const XfrmStates& states) {
  std::map<uint32_t, size_t> found;
  for (size_t index = 0; index < states.count(); index++) CHECK(found.emplace(states.spis[index], index).second);
  return found;
}

XfrmEvent eventIn(const Datagram& datagram) {
  std::optional<XfrmEvent> event;
  for (const Request& it : requestsIn(datagram)) event = decodeXfrmEvent({it.type, it.flags, it.view()});
  CHECK(event.has_value());
  return *event;
}

int errorOf(uint16_t type, const Datagram& payload) {
  const NetlinkMessage message{type, 0, {payload.data(), payload.size()}};
  return failureOf([&] {
           if (type == XFRM_MSG_NEWSA) decodeXfrmState(message);
           if (type == XFRM_MSG_NEWPOLICY) decodeXfrmPolicy(message);
           decodeXfrmEvent(message);
         }).number();
}

XfrmState stateOf(uint32_t spi) {
  XfrmState state;
  state.spi = spi;
  state.protocol = IPPROTO_ESP;
  state.destination[15] = 1;
  state.reqid = 7;
  state.addedAt = 1000;
  return state;
}

XfrmStates statesOf(const std::vector<XfrmState>& list) {
  XfrmStates states;
  for (const XfrmState& state : list) states.add(state);
  return states;
}

// SPI → changes.
using Changes = std::map<uint32_t, int>;
Changes changesIn(const XfrmDelta& delta) {
  Changes changes;
  for (size_t index = 0; index < delta.states.count(); index++) {
    CHECK(changes.emplace(delta.states.spis[index], delta.changes[index]).second);
  }
  return changes;
}

}  // namespace

TEST("xfrm: captured SAs") {
  const XfrmStates it = statesIn("xfrm-states.bin");
  CHECK_EQ(it.count(), 4);
  const auto at = bySpi(it);
  const size_t in = at.at(0x1001), out = at.at(0x1002), six = at.at(0x1003), marked = at.at(0x1004);
  CHECK_EQ(textOf(&it.sources[in * 16]), "192.0.2.2");
  CHECK_EQ(textOf(&it.destinations[in * 16]), "192.0.2.1");
  CHECK_EQ(it.reqids[in], 101);
  CHECK_EQ(it.ifIds[in], 2);
  CHECK_EQ(it.protocols[in], int{IPPROTO_ESP});
  CHECK_EQ(it.modes[in], 1);
  CHECK_EQ(it.encapSourcePorts[in], 4500);
  CHECK_EQ(it.encapDestinationPorts[in], 4500);
  CHECK_EQ(it.packets[in], 1.0);
  CHECK(it.bytes[in] >= 84);
  CHECK(it.usedAt[in] >= it.addedAt[in] && it.addedAt[in] > 1e9);
  CHECK_EQ(it.packets[out], 0.0);
  CHECK_EQ(it.usedAt[out], 0.0);
  CHECK_EQ(textOf(&it.destinations[six * 16]), "2001:db8::2");
  CHECK_EQ(it.encapSourcePorts[six], 0);
  CHECK_EQ(it.reqids[six], 16383);
  CHECK_EQ(it.marks[marked], 5);
  CHECK_EQ(it.markMasks[marked], 0xff);
  CHECK_EQ(it.markMasks[in], 0);
}

TEST("xfrm: what has no SPI yet, or no algorithm, is no SA") {
  CHECK_EQ(bySpi(statesIn("xfrm-larval.bin")).count(0), 0);
  size_t larval = 0;
  for (const Datagram& datagram : fixture("xfrm-larval.bin")) {
    for (const Request& it : requestsIn(datagram)) {
      if (it.type == XFRM_MSG_NEWSA) larval += readHeader<xfrm_usersa_info>(it.view()).id.spi == 0 ? 1 : 0;
    }
  }
  CHECK_EQ(larval, 1);
  xfrm_usersa_info reserved{};
  reserved.family = AF_INET;
  reserved.id.spi = htonl(1);
  const auto decodes = [&](const Datagram& attributes) {
    const Datagram payload = bytesOf(reserved) + attributes;
    return decodeXfrmState({XFRM_MSG_NEWSA, 0, {payload.data(), payload.size()}}).has_value();
  };
  CHECK(!decodes({}));
  CHECK(!decodes(attribute(XFRMA_IF_ID, bytesOf(1))));
  for (const uint16_t type : {XFRMA_ALG_AEAD, XFRMA_ALG_CRYPT, XFRMA_ALG_AUTH_TRUNC}) CHECK(decodes(attribute(type, Datagram(80))));
}

TEST("xfrm: captured policies, without a socket's own") {
  JobRunner runner(silent, silent, captured("xfrm-policies.bin"));
  XfrmPoliciesJob job;
  runner.run(job);
  const XfrmPolicies& it = job.policies;
  std::map<int, size_t> tunnels;
  std::optional<size_t> block;
  for (size_t index = 0; index < it.count(); index++) {
    if (it.actions[index] == XFRM_POLICY_BLOCK)
      block = index;
    else
      CHECK(tunnels.emplace(it.directions[index], index).second);
  }
  CHECK_EQ(it.count(), 4);
  for (const auto& [direction, at] : tunnels) {
    const bool out = direction == XFRM_POLICY_OUT;
    CHECK_EQ(prefixOf(it.sources, at), out ? "10.1.0.0/25" : "10.2.0.128/25");
    CHECK_EQ(prefixOf(it.destinations, at), out ? "10.2.0.128/25" : "10.1.0.0/25");
    CHECK_EQ(it.priorities[at], 1757393);
    CHECK_EQ(it.ifIds[at], 2);
    CHECK_EQ(it.templateProtocols[at], int{IPPROTO_ESP});
    CHECK_EQ(it.templateReqids[at], 101);
    CHECK_EQ(textOf(&it.templateSources[at * 16]), out ? "192.0.2.1" : "192.0.2.2");
    CHECK_EQ(textOf(&it.templateDestinations[at * 16]), out ? "192.0.2.2" : "192.0.2.1");
    // The kernel's numbers end in the direction.
    CHECK_EQ(it.indexes[at] & 7, direction);
  }
  CHECK(block.has_value());
  CHECK_EQ(prefixOf(it.sources, *block), "2001:db8:1::/48");
  CHECK_EQ(prefixOf(it.destinations, *block), "::/0");
  CHECK_EQ(it.marks[*block], 9);
  CHECK_EQ(it.markMasks[*block], 0xf);
  CHECK_EQ(it.templateProtocols[*block], 0);
}

TEST("xfrm: captured events") {
  const XfrmEvent moved = eventIn(fixture("xfrm-mapping.bin")[0]);
  CHECK(moved.kind == XfrmEvent::Kind::mapping);
  CHECK_EQ(moved.reqid, 101);
  CHECK_EQ(moved.spi, 0x1001);
  CHECK_EQ(moved.source.text(), "192.0.2.2");
  CHECK_EQ(moved.destination.text(), "192.0.2.1");
  CHECK_EQ(moved.port, 61000);
  const XfrmEvent expired = eventIn(fixture("xfrm-expire.bin")[0]);
  CHECK(expired.kind == XfrmEvent::Kind::expire);
  CHECK_EQ(expired.reqid, 102);
  CHECK_EQ(expired.spi, 0x1005);
  CHECK_EQ(expired.ifId, 3);
  CHECK(expired.hard);
  const XfrmEvent wanted = eventIn(fixture("xfrm-acquire.bin")[0]);
  CHECK(wanted.kind == XfrmEvent::Kind::acquire);
  CHECK_EQ(wanted.reqid, 103);
  CHECK_EQ(wanted.source.text(), "192.0.2.1");
  CHECK_EQ(wanted.destination.text(), "192.0.2.2");
}

TEST("xfrm: headers and attributes that are cut, and families that cannot be, are EBADMSG") {
  for (const uint16_t type : {XFRM_MSG_NEWSA, XFRM_MSG_NEWPOLICY, XFRM_MSG_MAPPING, XFRM_MSG_EXPIRE, XFRM_MSG_ACQUIRE}) {
    CHECK_EQ(errorOf(type, Datagram(40)), EBADMSG);
  }
  xfrm_usersa_info state{};
  state.family = AF_INET;
  state.id.spi = htonl(1);
  for (const uint16_t type : {XFRMA_ENCAP, XFRMA_IF_ID, XFRMA_MARK, XFRMA_LASTUSED}) {
    CHECK_EQ(errorOf(XFRM_MSG_NEWSA, bytesOf(state) + attribute(type, {1, 2})), EBADMSG);
  }
  xfrm_userpolicy_info policy{};
  policy.sel.family = AF_INET;
  CHECK_EQ(errorOf(XFRM_MSG_NEWPOLICY, bytesOf(policy) + attribute(XFRMA_TMPL, Datagram(20))), EBADMSG);
  policy.sel.prefixlen_s = 33;
  CHECK_EQ(errorOf(XFRM_MSG_NEWPOLICY, bytesOf(policy)), EBADMSG);
  CHECK_EQ(errorOf(XFRM_MSG_MAPPING, bytesOf(xfrm_user_mapping{})), EBADMSG);
  CHECK_EQ(errorOf(XFRM_MSG_EXPIRE, bytesOf(xfrm_user_expire{})), EBADMSG);
  CHECK_EQ(errorOf(XFRM_MSG_ACQUIRE, bytesOf(xfrm_user_acquire{})), EBADMSG);
  CHECK_EQ(errorOf(XFRM_MSG_NEWPOLICY, Datagram(sizeof policy - 1)), EBADMSG);
}

TEST("xfrm: a dump that was interrupted is read again, from the start") {
  int dumps = 0;
  JobRunner runner(silent, silent, [&](const std::vector<Request>& requests) {
    auto answer = answering(fixture("xfrm-states.bin"), requests[0].sequence);
    nlmsghdr header;
    std::memcpy(&header, answer[0].data(), sizeof header);
    if (dumps++ == 0) header.nlmsg_flags |= NLM_F_DUMP_INTR;
    std::memcpy(answer[0].data(), &header, sizeof header);
    return answer;
  });
  XfrmSnapshotJob job;
  runner.run(job);
  CHECK_EQ(dumps, 2);
  CHECK_EQ(job.states.count(), 4);
  CHECK_EQ(runner.counters().xfrm.dumpsInterrupted.load(), 1);
}

TEST("xfrm: deletions name one thing each, batch by batch; what is gone is no error") {
  std::vector<size_t> batches;
  JobRunner runner(silent, silent, [&](const std::vector<Request>& requests) {
    batches.push_back(requests.size());
    std::vector<Datagram> answers;
    for (const Request& it : requests) {
      const bool state = it.type == XFRM_MSG_DELSA;
      const uint32_t number = state ? ntohl(readHeader<xfrm_usersa_id>(it.view()).spi) : readHeader<xfrm_userpolicy_id>(it.view()).index;
      const int error = number % 3 == 0 ? state ? ESRCH : ENOENT : number == 100 || number == 200 ? EPERM : 0;
      if (error != 0 || (it.flags & NLM_F_ACK) != 0) answers.push_back(ack(it, error));
    }
    return answers;
  });
  std::vector<XfrmDeletion> deletions;
  for (uint32_t spi = 1; spi <= 150; spi++) deletions.push_back(XfrmStateId{*Ip::parse("192.0.2.1"), spi, IPPROTO_ESP, {}});
  for (uint32_t index = 151; index <= 210; index++) deletions.push_back(XfrmPolicyId{XFRM_POLICY_FWD, index, 2, {}});
  deletions.push_back(XfrmStateId{*Ip::parse("2001:db8::2"), 1, IPPROTO_AH, {5, 0xff}});
  XfrmDeleteJob job(deletions);
  CHECK(runner.run(job) > 1);
  for (const size_t size : batches) CHECK(size <= 64);
  for (size_t index = 0; index < job.results.size(); index++) CHECK_EQ(job.results[index].has_value(), index == 99 || index == 199);
  CHECK_EQ(job.results[99]->what(), "XFRM_MSG_DELSA 192.0.2.1 spi 0x64: Operation not permitted (EPERM)");
  CHECK_EQ(job.results[199]->what(), "XFRM_MSG_DELPOLICY 200: Operation not permitted (EPERM)");

  const std::vector<Request>& sent = runner.xfrm().all;
  CHECK_EQ(sent.size(), 211);
  const auto policy = readHeader<xfrm_userpolicy_id>(sent[160].view());
  CHECK_EQ(policy.dir, int{XFRM_POLICY_FWD});
  CHECK_EQ(policy.index, 161);
  eachAttribute(after(sent[160].view(), sizeof policy), [](const Attribute& it) {
    CHECK_EQ(it.type, int{XFRMA_IF_ID});
    CHECK_EQ(it.integer<uint32_t>(), 2);
  });
  const auto state = readHeader<xfrm_usersa_id>(sent[210].view());
  CHECK_EQ(state.family, AF_INET6);
  CHECK_EQ(state.proto, int{IPPROTO_AH});
  size_t marks = 0;
  eachAttribute(after(sent[210].view(), sizeof state), [&](const Attribute& it) {
    CHECK_EQ(it.type, int{XFRMA_MARK});
    CHECK_EQ(it.integer<xfrm_mark>().m, 0xff);
    marks++;
  });
  CHECK_EQ(marks, 1);
  // There is no word for all.
  for (const Request& it : sent) CHECK(it.type == XFRM_MSG_DELSA || it.type == XFRM_MSG_DELPOLICY);
  CHECK_EQ(after(sent[0].view(), sizeof state).size, 0);
}

TEST("xfrm delta: each change has its own bit; another SA under the same key is added anew") {
  std::vector<XfrmState> before;
  for (uint32_t spi = 1; spi <= 8; spi++) before.push_back(stateOf(spi));
  std::vector<XfrmState> now = before;
  now[0].encapSourcePort = 4501;
  now[1].source[15] = 9;
  now[2].bytes = 84;
  now[3].usedAt = 5;
  now[4].reqid = 8;
  now[5].addedAt = 2000;
  now[6].source[15] = 9;
  now[6].packets = 1;
  XfrmHistory history;
  CHECK_EQ(history.advance(statesOf(before)).states.count(), 8);
  const XfrmDelta delta = history.advance(statesOf(now));
  CHECK((changesIn(delta) == Changes{{1, XfrmDelta::endpoint},
                                     {2, XfrmDelta::endpoint},
                                     {3, XfrmDelta::counters},
                                     {4, XfrmDelta::counters},
                                     {5, XfrmDelta::added},
                                     {6, XfrmDelta::added},
                                     {7, XfrmDelta::endpoint | XfrmDelta::counters}}));
  CHECK_EQ(delta.total, 8);
  CHECK_EQ(delta.states.encapSourcePorts[0], 4501);
  CHECK_EQ(history.advance(statesOf(now)).states.count(), 0);
}

TEST("xfrm delta: SAs are told by destination, protocol and mark too") {
  const XfrmState one = stateOf(1);
  std::vector<XfrmState> others(4, one);
  others[0].destination[15] = 2;
  others[1].protocol = IPPROTO_AH;
  others[2].mark = {1, 0xff};
  others[3].mark = {1, 0xf};
  std::vector<XfrmState> all = others;
  all.push_back(one);
  const XfrmDelta delta = compareXfrmStates(statesOf(all), statesOf({one}));
  CHECK_EQ(delta.states.count(), 4);
  for (const uint8_t changes : delta.changes) CHECK_EQ(changes, int{XfrmDelta::removed});
  CHECK_EQ(compareXfrmStates(statesOf(all), statesOf({all.rbegin(), all.rend()})).states.count(), 0);
}

TEST("xfrm delta: any order, any mix of added, removed and changed") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; round++) {
    std::vector<XfrmState> before, now;
    Changes wanted;
    const uint32_t count = static_cast<uint32_t>(random() % 60);
    for (uint32_t spi = 1; spi <= count; spi++) {
      XfrmState state = stateOf(spi);
      const auto choice = random() % 5;
      if (choice != 1) before.push_back(state);
      if (choice == 2) state.bytes = 1;
      if (choice != 0) now.push_back(state);
      if (choice == 0) wanted[spi] = XfrmDelta::removed;
      if (choice == 1) wanted[spi] = XfrmDelta::added;
      if (choice == 2) wanted[spi] = XfrmDelta::counters;
    }
    if (round % 2 == 0) std::shuffle(now.begin(), now.end(), random);
    if (round % 3 == 0) std::shuffle(before.begin(), before.end(), random);
    const XfrmDelta delta = compareXfrmStates(statesOf(before), statesOf(now));
    CHECK(changesIn(delta) == wanted);
    CHECK_EQ(delta.total, now.size());
  }
}

TEST("engine: XFRM events are told one by one, lost and unreadable ones are an overrun, and the watch goes on") {
  FakeKernel fake(silent);
  Mailbox mailbox;
  Engine engine(mailbox.notify(), watchingXfrm(fake));
  (void)engine.submit(std::make_unique<WatchXfrmJob>());
  (void)engine.submit(std::make_unique<WatchXfrmJob>());
  mailbox.take(engine, [&] { return mailbox.jobs.size() == 2; });
  CHECK_EQ(fake.opened, 1);
  const Datagram mapping = fixture("xfrm-mapping.bin")[0];
  const Datagram other = message(XFRM_MSG_POLEXPIRE, 0, 0, bytesOf(xfrm_user_polexpire{}));
  const auto kinds = [&] {
    std::string text;
    for (const Event& it : mailbox.events) text += std::holds_alternative<XfrmEvent>(it) ? 'x' : std::holds_alternative<OverrunEvent>(it) ? 'o' : '?';
    return text;
  };
  fake.latest->push(mapping + other + fixture("xfrm-expire.bin")[0]);
  mailbox.take(engine, [&] { return mailbox.events.size() == 2; });
  CHECK_EQ(kinds(), "xx");
  mailbox.events.clear();
  inOneSlice(engine, [&](Kernel&) {
    fake.latest->failure = ENOBUFS;
    fake.latest->push(mapping);
  });
  mailbox.take(engine, [&] { return mailbox.events.size() == 2; });
  CHECK_EQ(kinds(), "ox");
  mailbox.events.clear();
  fake.latest->push(mapping + Datagram{1, 2, 3});
  mailbox.take(engine, [&] { return mailbox.events.size() == 2; });
  CHECK_EQ(kinds(), "xo");
  mailbox.events.clear();
  // Given up, and opened again when it is asked for.
  inOneSlice(engine, [&](Kernel&) {
    fake.latest->failure = EIO;
    fake.latest->failing = true;
    fake.latest->push(mapping);
  });
  mailbox.take(engine, [&] { return !mailbox.events.empty(); });
  size_t jobs = mailbox.jobs.size();
  while (fake.opened == 1) {
    (void)engine.submit(std::make_unique<WatchXfrmJob>());
    mailbox.take(engine, [&] { return mailbox.jobs.size() > jobs; });
    jobs = mailbox.jobs.size();
  }
  mailbox.events.clear();
  inOneSlice(engine, [&](Kernel&) { fake.latest->push(mapping); });
  mailbox.take(engine, [&] { return kinds().find('x') != std::string::npos; });
}

}  // namespace corax::test
