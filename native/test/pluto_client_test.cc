// The control socket against servers with bad manners.
#include "core/pluto/client.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <fstream>
#include <future>

#include "test/check.h"
#include "test/fake_pluto.h"

namespace corax::test {
namespace {

using namespace std::chrono_literals;

// Long enough for any machine, where nothing is to run out; short, where it is.
constexpr auto patient = 60'000ms, brief = 50ms;
const std::string command(5584, 'c');

Bytes bytes() { return {reinterpret_cast<const uint8_t*>(command.data()), command.size()}; }

std::string ask(const std::string& path, std::chrono::milliseconds timeout = patient, size_t maxReply = 1000, int stop = -1) {
  return exchange({path, timeout, maxReply, stop}, bytes());
}

struct Refusal {
  int number;
  const char* words;
};

void refused(const Refusal& expected, const std::function<void()>& act) {
  try {
    act();
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::pluto);
    CHECK_EQ(failure.number(), expected.number);
    const std::string said = failure.what();
    if (said.find(expected.words) == std::string::npos) fail(__FILE__, __LINE__, said + " does not say " + expected.words);
    return;
  }
  fail(__FILE__, __LINE__, std::string("was not refused: ") + expected.words);
}

// Waits until the other end has closed the connection.
void awaitClose(int fd) {
  char rest[64];
  while (::recv(fd, rest, sizeof rest, 0) > 0) {
  }
}

std::unique_ptr<PlutoTask> task(uint64_t id, const std::string& words, bool alwaysAnswered = false) {
  auto it = std::make_unique<PlutoTask>();
  it->id = id;
  it->message.bytes.assign(words.begin(), words.end());
  it->message.alwaysAnswered = alwaysAnswered;
  return it;
}

// What comes back of a client, waited for.
class Inbox {
 public:
  std::function<void()> notify() {
    return [this] {
      const std::lock_guard<std::mutex> lock(mutex_);
      knocks_++;
      ready_.notify_all();
    };
  }
  void take(PlutoClient& client, size_t count) {
    for (;;) {
      for (auto& it : client.take()) tasks.push_back(std::move(it));
      if (tasks.size() >= count) return;
      std::unique_lock<std::mutex> lock(mutex_);
      if (!ready_.wait_for(lock, patient, [&] { return knocks_ > 0; })) fail(__FILE__, __LINE__, "nothing came");
      knocks_--;
    }
  }
  std::vector<std::unique_ptr<PlutoTask>> tasks;

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  int knocks_ = 0;
};

}  // namespace

TEST("pluto: the command comes whole, in one piece, and the reply is read to its end") {
  std::string came;
  FakePluto pluto([&](int fd, const std::string& message) {
    came = message;
    for (const char* piece : {"000 a", "\n002 ", "b\n"}) say(fd, piece);
  });
  CHECK_EQ(ask(pluto.path()), "000 a\n002 b\n");
  CHECK_EQ(came, command);
}

TEST("pluto: no answer is an answer of nothing") {
  FakePluto pluto([](int, const std::string&) {});
  CHECK_EQ(ask(pluto.path()), "");
}

TEST("pluto: who answers too late, or never ends, is left, and the connection closed") {
  std::promise<void> closed;
  FakePluto silent([&](int fd, const std::string&) {
    awaitClose(fd);
    closed.set_value();
  });
  refused({ETIMEDOUT, "it did not answer within 50 ms"}, [&] { ask(silent.path(), brief); });
  closed.get_future().wait();

  FakePluto endless([](int fd, const std::string&) {
    while (say(fd, "000 ")) std::this_thread::yield();
  });
  refused({ETIMEDOUT, "it did not end its answer within 50 ms"}, [&] { ask(endless.path(), brief, SIZE_MAX); });
}

TEST("pluto: who says too much is left as soon as it is too much") {
  FakePluto pluto([](int fd, const std::string&) {
    while (say(fd, std::string(500, 'x'))) {
    }
  });
  refused({EMSGSIZE, "longer than 1000 bytes"}, [&] { ask(pluto.path()); });
}

TEST("pluto: who closes before it has read the command, or resets the connection, is told of") {
  const SocketPlace place;
  const Fd listener = place.listen(1);
  std::thread server([&] { const Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)); });
  try {
    ask(place.path());
    fail(__FILE__, __LINE__, "was not refused");
  } catch (const Failure& failure) {
    CHECK(failure.number() == ECONNRESET || failure.number() == EPIPE);
    CHECK(std::string(failure.what()).find("its log says why") != std::string::npos);
  }
  server.join();
}

TEST("pluto: where nobody is, the words say what to do") {
  const SocketPlace place;
  refused({ENOENT, "it does not run, or elsewhere (--pluto-socket)"}, [&] { ask(place.path()); });
  place.listen(1).reset();
  refused({ECONNREFUSED, "it has ended, and left its socket behind"}, [&] { ask(place.path()); });
  refused({ENAMETOOLONG, "path"}, [&] { ask("/" + std::string(200, 'x')); });
  refused({ENAMETOOLONG, "path"}, [&] { ask(""); });
}

TEST("pluto: who takes no connections is waited for as long as for an answer") {
  const SocketPlace place;
  const Fd listener = place.listen(0);
  // One connection waits already: there is room for no other.
  std::thread first([&] { refused({ETIMEDOUT, "it did not answer"}, [&] { ask(place.path(), brief); }); });
  first.join();
  refused({ETIMEDOUT, "it takes no connection within 50 ms"}, [&] { ask(place.path(), brief); });
  const Fd abandoned(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::thread server([&] {
    const Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[8192];
    CHECK_EQ(::recv(connection.get(), buffer, sizeof buffer, 0), command.size());
    say(connection.get(), "000 \n");
  });
  CHECK_EQ(ask(place.path()), "000 \n");
  server.join();
}

TEST("pluto: an exchange is given up when it is told to") {
  const Fd stop(::eventfd(0, EFD_CLOEXEC));
  FakePluto pluto([&](int fd, const std::string&) {
    const uint64_t one = 1;
    CHECK_EQ(::write(stop.get(), &one, sizeof one), sizeof one);
    awaitClose(fd);
  });
  try {
    ask(pluto.path(), patient, 1000, stop.get());
    fail(__FILE__, __LINE__, "was not given up");
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::closed);
  }
}

TEST("pluto: commands go one after the other, each on a connection of its own") {
  FakePluto* server = nullptr;
  int early = 0;
  FakePluto pluto([&](int fd, const std::string& message) {
    // The next one must not knock before this one is answered.
    if (server->isAskedMore()) early++;
    say(fd, "000 " + message + "\n");
  });
  server = &pluto;
  Inbox inbox;
  PlutoClient client(pluto.path(), patient, inbox.notify());
  for (uint64_t id = 0; id < 50; id++) CHECK(!client.submit(task(id, "command " + std::to_string(id))));
  inbox.take(client, 50);
  for (uint64_t id = 0; id < 50; id++) {
    CHECK_EQ(inbox.tasks[id]->id, id);
    CHECK(!inbox.tasks[id]->error);
    CHECK_EQ(inbox.tasks[id]->reply.line(0).text, "command " + std::to_string(id));
  }
  CHECK_EQ(early, 0);
}

TEST("pluto: one command that goes wrong is its own affair") {
  FakePluto pluto([](int fd, const std::string& message) {
    if (message != "silence") say(fd, message == "nonsense" ? "nonsense\n" : "000 pluto_version=4.10, pluto_vendorid=x\n");
  });
  Inbox inbox;
  PlutoClient client(pluto.path(), patient, inbox.notify());
  auto version = task(4, "status", true);
  version->asksVersion = true;
  CHECK(!client.submit(task(1, "nonsense")));
  CHECK(!client.submit(task(2, "silence", true)));
  CHECK(!client.submit(task(3, "silence")));
  CHECK(!client.submit(std::move(version)));
  inbox.take(client, 4);
  CHECK_EQ(inbox.tasks[0]->error->number(), EBADMSG);
  CHECK(std::string(inbox.tasks[1]->error->what()).find("it has probably aborted") != std::string::npos);
  CHECK(!inbox.tasks[2]->error);
  CHECK_EQ(inbox.tasks[2]->reply.count(), 0);
  CHECK(!inbox.tasks[3]->error);
  CHECK_EQ(inbox.tasks[3]->version.version, "4.10");
}

TEST("pluto: stop ends a read, and all that waits is closed, in order") {
  std::promise<void> reading, closed;
  FakePluto pluto([&](int fd, const std::string&) {
    reading.set_value();
    awaitClose(fd);
    closed.set_value();
  });
  Inbox inbox;
  PlutoClient client(pluto.path(), patient, inbox.notify());
  for (uint64_t id = 0; id < 3; id++) CHECK(!client.submit(task(id, "command")));
  reading.get_future().wait();
  client.stop();
  client.stop();
  closed.get_future().wait();
  inbox.take(client, 3);
  for (uint64_t id = 0; id < 3; id++) {
    CHECK_EQ(inbox.tasks[id]->id, id);
    CHECK(inbox.tasks[id]->error->code() == FailureCode::closed);
  }
  CHECK(client.submit(task(4, "command"))->code() == FailureCode::closed);
}

TEST("pluto: the queue is bounded") {
  FakePluto pluto([](int fd, const std::string&) { awaitClose(fd); });
  Inbox inbox;
  PlutoClient client(pluto.path(), patient, inbox.notify());
  size_t taken = 0;
  std::optional<Failure> refusal;
  while (!refusal && taken < 2 * PlutoClient::maxTasks) {
    refusal = client.submit(task(taken, "command"));
    if (!refusal) taken++;
  }
  CHECK(refusal->code() == FailureCode::queueFull);
  // One of them may be under way.
  CHECK(taken == PlutoClient::maxTasks || taken == PlutoClient::maxTasks + 1);
  client.stop();
  inbox.take(client, taken);
}

}  // namespace corax::test
