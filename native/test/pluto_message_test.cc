// Commands for pluto next to what whack sent for the same (fixtures/README.md), and those that must not be sent.
#include "core/pluto/message.h"

#include <cerrno>

#include "core/failure.h"
#include "test/check.h"
#include "test/fake_netlink.h"

namespace corax::test {
namespace {

PlutoText text(const std::string& words) { return *PlutoText::from(words); }

PlutoConnection connection() {
  PlutoConnection it{{text("@a"), Ip::parse("192.168.1.2"), 0, *IpPrefix::parse("10.1.0.0/24")},
                     {text("@b"), Ip::parse("203.0.113.12"), 21'277, *IpPrefix::parse("10.2.0.0/24")}};
  it.dpdDelayS = 5;
  it.retransmitTimeoutS = 10;
  it.retransmitIntervalMs = 1500;
  it.reqid = 77;
  return it;
}

// What capture_whack.py asked for, in its order.
std::vector<PlutoCommand> captured() {
  PlutoConnectionCommand initiate{text("b/1")};
  initiate.initiate = true;

  PlutoConnectionCommand all = initiate;
  all.remove = all.route = true;
  all.add = connection();
  all.add->ifId = 2;
  all.add->ike = text("aes_gcm256-sha2_256");
  all.add->esp = text("aes_gcm256");

  PlutoConnectionCommand six{text("b/1")};
  six.add = connection();
  six.add->local.host = Ip::parse("2001:db8::1");
  six.add->local.client = *IpPrefix::parse("2001:db8:1::/48");
  six.add->remote = {text("@b"), std::nullopt, 0, *IpPrefix::parse("2001:db8:2::/48")};
  six.add->reqid = 16'383;
  return {PlutoOp::showStates, initiate, all, six};
}

Failure refused(const PlutoCommand& command) {
  try {
    plutoMessage(*whackLayoutOf("4.10"), command);
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::pluto);
    CHECK_EQ(failure.number(), EINVAL);
    return failure;
  }
  fail(__FILE__, __LINE__, "was not refused");
}

}  // namespace

TEST("pluto: each message has whack's bytes, in every version that was captured") {
  for (const char* version : {"4.10", "5.2"}) {
    const std::vector<Datagram> theirs = fixture(std::string("whack-") + version + ".bin");
    const std::vector<PlutoCommand> commands = captured();
    CHECK_EQ(theirs.size(), commands.size());
    for (size_t index = 0; index < commands.size(); index++) {
      const Datagram ours = plutoMessage(*whackLayoutOf(version), commands[index]).bytes;
      const std::string which = std::string(version) + ", message " + std::to_string(index);
      if (ours.size() != theirs[index].size()) fail(__FILE__, __LINE__, which + " has another length");
      for (size_t at = 0; at < ours.size(); at++) {
        if (ours[at] != theirs[index][at]) fail(__FILE__, __LINE__, which + " differs at " + std::to_string(at));
      }
    }
  }
}

TEST("pluto: a layout for the versions that were tried, and for no other") {
  for (const char* version : {"4.8", "4.9", "4.10", "4.11", "4.12", "4.13", "4.14", "4.15", "5.2"}) {
    CHECK(whackLayoutOf(version) != nullptr);
  }
  for (const char* version : {"", "4.7", "4.1", "4.16", "4.10.1", "5.0", "5.1", "5.2.1", "5.20", "5.3", "5.3.2"}) {
    CHECK(whackLayoutOf(version) == nullptr);
  }
}

TEST("pluto: fields lie within the struct, and no two requests in one place") {
  for (const WhackLayout& layout : whackLayouts()) {
    std::vector<uint16_t> flags{0};
    for (const WhackRequest* request : {&layout.listen, &layout.rereadSecrets, &layout.status, &layout.showStates,
                                        &layout.trafficStatus, &layout.shutdown}) {
      flags.push_back(request->flag.offset);
    }
    for (const WhackField* field : {&layout.remove, &layout.add, &layout.route, &layout.unroute, &layout.initiate,
                                    &layout.terminate, &layout.asynchronous}) {
      flags.push_back(field->offset);
    }
    for (const std::vector<WhackConstant>* constants : {&layout.always, &layout.withAdd, &layout.withoutAdd}) {
      for (const WhackConstant& constant : *constants) CHECK(constant.field.offset + constant.field.size <= layout.strings);
    }
    for (size_t index = 0; index < flags.size(); index++) {
      CHECK(flags[index] < layout.strings);
      for (size_t other = 0; other < index; other++) CHECK(flags[index] != flags[other]);
    }
  }
}

TEST("pluto: text that could end a string early, or is none, is no text") {
  for (const std::string& bad : {std::string(), std::string("a\0b", 3), std::string("a b"), std::string("a\nb"),
                                 std::string("a\"b"), std::string("a'b"), std::string("\xc3\xa9"), std::string(513, 'a')}) {
    CHECK(!PlutoText::from(bad));
  }
  for (const std::string& good : {std::string("a"), std::string(512, 'a'), std::string("@192.168.1.2-10.1.0.0/24")}) {
    CHECK_EQ(PlutoText::from(good)->text(), good);
  }
}

TEST("pluto: nothing is said to a connection that has lost its name") {
  PlutoConnectionCommand command{text("name")};
  command.initiate = true;
  const PlutoConnectionCommand taken = std::move(command);
  CHECK_EQ(taken.name.text(), "name");
  command.initiate = true;
  CHECK_EQ(refused(command).what(), "pluto aborts when a command names no connection");
}

TEST("pluto: commands that contradict themselves are refused") {
  const PlutoConnectionCommand nothing{text("n")};
  CHECK_EQ(refused(nothing).what(), "nothing is to be done");
  const auto with = [&](const std::function<void(PlutoConnectionCommand&)>& change) {
    PlutoConnectionCommand command = nothing;
    command.add = connection();
    change(command);
    return std::string(refused(command).what());
  };
  CHECK_EQ(with([](auto& it) { it.route = it.unroute = true; }), "route and unroute exclude each other");
  CHECK_EQ(with([](auto& it) { it.initiate = it.terminate = true; }), "initiate and terminate exclude each other");
  CHECK_EQ(with([](auto& it) { it.add->local.host = it.add->remote.host = std::nullopt; }), "one end at least must have a host");
  CHECK_EQ(with([](auto& it) { it.add->local.host = Ip::parse("::1"); }), "both hosts must be of one family");
  CHECK_EQ(with([](auto& it) { it.add->local.client = *IpPrefix::parse("::/0"); }), "both clients must be of one family");
  CHECK_EQ(with([](auto& it) { it.add->local.client = *IpPrefix::parse("10.0.0.1/8"); }), "clients must have no host bits");
  CHECK_EQ(with([](auto& it) { it.add->dpdDelayS = 0; }), "dpdDelayS must be given");
  CHECK_EQ(with([](auto& it) { it.add->reqid = 0; }), "reqid must be from 1 to 16383");
  CHECK_EQ(with([](auto& it) { it.add->reqid = 16'384; }), "reqid must be from 1 to 16383");
}

TEST("pluto: the longest strings have room") {
  const PlutoText longest = text(std::string(PlutoText::max, 'x'));
  PlutoConnectionCommand command{longest};
  command.add = connection();
  command.add->local.id = command.add->remote.id = longest;
  command.add->ike = command.add->esp = longest;
  for (const WhackLayout& layout : whackLayouts()) CHECK(plutoMessage(layout, command).bytes.size() <= layout.size);
}

TEST("pluto: basic status is 64 bytes, and only the magic and one flag") {
  const std::vector<uint8_t> bytes = basicStatusMessage().bytes;
  CHECK_EQ(bytes.size(), 64);
  CHECK_EQ(std::string(bytes.begin(), bytes.begin() + 6), std::string("\x19khw\x01\0", 6));
  for (size_t at = 5; at < bytes.size(); at++) CHECK_EQ(bytes[at], 0);
}

}  // namespace corax::test
