// Firewall transactions against the running kernel, in a namespace of their own.
#include "core/nft.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>
#include <vector>

#include "core/failure.h"
#include "test/check.h"
#include "test/netns.h"
#include "test/packets.h"

// libnftables leaks a few bytes on some of its error paths (1.0.6: names of a rule that it refused).
extern "C" const char* __lsan_default_suppressions() { return "leak:libnftables.so\n"; }

namespace corax::test {
namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Failure refused(Nft& nft, const std::string& json) {
  try {
    nft.run(json);
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::nft);
    return failure;
  }
  fail(__FILE__, __LINE__, "was not refused: " + json.substr(0, 200));
}

// The errno that `act` throws in a child process that may open no more descriptors; 0 when it throws none.
template <typename Act>
int errnoWithoutDescriptors(Act&& act) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    // The sanitizer looks at a type once, and needs a descriptor for it.
    const Failure seen = Failure::system(FailureCode::nft, "", EPERM);
    if (seen.code() != FailureCode::nft) _exit(254);
    rlimit limit{};
    const int next = fcntl(STDIN_FILENO, F_DUPFD, 3);
    if (next < 0 || close(next) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(254);
    limit.rlim_cur = static_cast<rlim_t>(next);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(254);
    try {
      act();
    } catch (const Failure& failure) {
      _exit(failure.code() == FailureCode::nft ? failure.number() : 253);
    }
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

// The two rules that put both planes on one hole, as the agent writes them.
const char* const rules = R"({"nftables": [
  {"add": {"table": {"family": "ip", "name": "corax"}}},
  {"delete": {"table": {"family": "ip", "name": "corax"}}},
  {"add": {"table": {"family": "ip", "name": "corax"}}},
  {"add": {"set": {"family": "ip", "table": "corax", "name": "relays", "type": "ipv4_addr",
                   "elem": ["203.0.113.1", "203.0.113.2"]}}},
  {"add": {"chain": {"family": "ip", "table": "corax", "name": "in", "type": "filter", "hook": "input",
                     "prio": 200, "policy": "accept"}}},
  {"add": {"chain": {"family": "ip", "table": "corax", "name": "out", "type": "filter", "hook": "output",
                     "prio": -310, "policy": "accept"}}},
  {"add": {"rule": {"family": "ip", "table": "corax", "chain": "in", "expr": [
    {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 4500}},
    {"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@relays"}},
    {"mangle": {"key": {"payload": {"protocol": "udp", "field": "dport"}}, "value": 4501}}]}}},
  {"add": {"rule": {"family": "ip", "table": "corax", "chain": "out", "expr": [
    {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "sport"}}, "right": 4501}},
    {"mangle": {"key": {"payload": {"protocol": "udp", "field": "sport"}}, "value": 4500}}]}}}
]})";
const char* const list = R"({"nftables": [{"list": {"table": {"family": "ip", "name": "corax"}}}]})";

}  // namespace

TEST("a transaction with corax's rules, again, and listed as JSON") {
  Netns net;
  Nft nft;
  CHECK_EQ(nft.run(rules), "");
  CHECK_EQ(nft.run(rules), "");
  const std::string listed = nft.run(list);
  CHECK_EQ(listed.front(), '{');
  CHECK_EQ(listed.back(), '}');
  for (const char* part : {R"("mangle": {"key": {"payload": {"protocol": "udp", "field": "dport"}}, "value": 4501})",
                           R"("mangle": {"key": {"payload": {"protocol": "udp", "field": "sport"}}, "value": 4500})",
                           R"("203.0.113.1")", R"("prio": -310)"})
    if (!has(listed, part)) fail(__FILE__, __LINE__, std::string(part) + " is not in " + listed);
}

TEST("a transaction is all or nothing, and the error is libnftables' own") {
  Netns net;
  Nft nft;
  const Failure failure = refused(nft, R"({"nftables": [
    {"add": {"table": {"family": "ip", "name": "corax"}}},
    {"add": {"rule": {"family": "ip", "table": "corax", "chain": "nowhere", "expr": [{"accept": null}]}}}]})");
  CHECK_EQ(failure.number(), ENOENT);
  CHECK_EQ(failure.what(), "Error: Could not process rule: No such file or directory");
  CHECK_EQ(refused(nft, list).number(), ENOENT);
  // The context still works, and says nothing of what was before.
  CHECK_EQ(nft.run(rules), "");
}

TEST("what is not a command of libnftables' is refused in its words") {
  Netns net;
  Nft nft;
  const Failure failure = refused(nft, R"({"nftables": [{"add": {"bogus": {}}}]})");
  CHECK_EQ(failure.number(), 0);
  CHECK_EQ(failure.what(),
           "Error: Unknown object passed to add command.\nError: Parsing command array at index 0 failed.");
  CHECK(has(refused(nft, R"({"nftables": 1})").what(), "Error"));
  CHECK(has(refused(nft, R"({})").what(), "Error"));
  // Well-formed, but libnftables' reader refuses it, and falls back on nft(8)'s language.
  CHECK(has(refused(nft, R"({"nftables": [{"add": {"table": {"family": "ip", "name": "\u0000"}}}]})").what(), "Error"));
}

TEST("no file is opened and no command run for what is not JSON") {
  Netns net;
  Nft nft;
  for (const char* text : {"include \"/etc/passwd\"", "{\ninclude \"/etc/passwd\"", "add table ip other", "{",
                           "{\"nftables\": [", "", "{} add table ip other"}) {
    const Failure failure = refused(nft, text);
    CHECK_EQ(failure.number(), EINVAL);
    CHECK(!has(failure.what(), "root:"));
  }
  std::string withNul = list;
  withNul[5] = '\0';
  CHECK_EQ(refused(nft, withNul).number(), EINVAL);
  CHECK(!has(nft.run(R"({"nftables": [{"list": {"tables": null}}]})"), "other"));
}

TEST("input over 4 MiB is refused, just under it is read") {
  Netns net;
  Nft nft;
  std::string big = R"({"nftables": [{"list": {"tables": null}}]})";
  big.resize(Nft::maxInput, ' ');
  CHECK(has(nft.run(big), "nftables"));
  big.push_back(' ');
  CHECK_EQ(refused(nft, big).number(), E2BIG);
}

TEST("without a descriptor there is an error, not the end of the process") {
  Netns net;
  CHECK_EQ(errnoWithoutDescriptors([] { Nft(); }), EMFILE);
  Nft nft;
  // As it looks up "lo"'s number.
  const char* const byNumber = R"({"nftables": [
    {"add": {"table": {"family": "ip", "name": "corax"}}},
    {"add": {"chain": {"family": "ip", "table": "corax", "name": "in"}}},
    {"add": {"rule": {"family": "ip", "table": "corax", "chain": "in", "expr": [
      {"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": "lo"}}]}}}]})";
  CHECK_EQ(errnoWithoutDescriptors([&] { nft.run(byNumber); }), EMFILE);
  CHECK_EQ(nft.run(byNumber), "");
}

TEST("contexts of several threads take turns") {
  Netns net;
  std::vector<std::thread> threads;
  std::array<int, 4> wrong{};
  for (int& count : wrong) {
    threads.emplace_back([&count] {
      for (int i = 0; i < 50; ++i) {
        Nft nft;
        if (!has(refused(nft, R"({"nftables": [{"add": {"bogus": {}}}]})").what(), "Unknown object")) ++count;
        nft.run(rules);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK_EQ(count, 0);
}

TEST("a context is used many times and grows no words") {
  Netns net;
  Nft nft;
  for (int i = 0; i < 200; ++i) {
    nft.run(rules);
    CHECK_EQ(refused(nft, R"({"nftables": [{"delete": {"table": {"family": "ip", "name": "nope"}}}]})").number(), ENOENT);
  }
}

TEST("mutated transactions crash nothing") {
  Netns net;
  Nft nft;
  Random random(4);
  const std::string whole = rules;
  int done = 0;
  for (int i = 0; i < 300; ++i) {
    std::string text = whole;
    for (uint32_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0: text[at] = whole[random() % whole.size()]; break;
        case 1: text.erase(at, 1 + random() % 3); break;
        default: text.insert(at, whole, random() % whole.size(), 1 + random() % 8); break;
      }
    }
    try {
      nft.run(text);
      ++done;
    } catch (const Failure&) {
    }
  }
  CHECK(done < 300);
  CHECK_EQ(nft.run(rules), "");
}

}  // namespace corax::test
