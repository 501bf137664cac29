// What pluto says, and what only looks like it.
#include "core/pluto/reply.h"

#include <cerrno>

#include "core/failure.h"
#include "test/check.h"

namespace corax::test {
namespace {

std::string refusal(const std::string& bytes) {
  try {
    PlutoReply::parse(bytes);
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::pluto);
    CHECK_EQ(failure.number(), EBADMSG);
    return failure.what();
  }
  fail(__FILE__, __LINE__, "was not refused: " + bytes.substr(0, 80));
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST("pluto: a reply's lines, as 4.10 and 5.2 write them") {
  const PlutoReply reply = PlutoReply::parse(
      "002 \"n/x\": added IKEv2 connection\n181 \"n/x\" #1: initiating IKEv2 connection\n000  \n021 no\n16637 x\n000 \n");
  CHECK_EQ(reply.count(), 6);
  const std::vector<std::pair<int, const char*>> expected{{2, "\"n/x\": added IKEv2 connection"},
                                                          {181, "\"n/x\" #1: initiating IKEv2 connection"},
                                                          {0, " "},
                                                          {21, "no"},
                                                          {16'637, "x"},
                                                          {0, ""}};
  for (size_t index = 0; index < expected.size(); index++) {
    CHECK_EQ(reply.line(index).code, expected[index].first);
    CHECK_EQ(reply.line(index).text, expected[index].second);
  }
  CHECK_EQ(PlutoReply::parse("").count(), 0);
}

TEST("pluto: what is not printable comes out as question marks") {
  CHECK_EQ(PlutoReply::parse(std::string("000 a\0b\x1b[2J\xc3\xa9\x7f\t.\n", 17)).line(0).text, "a?b?[2J????.");
}

TEST("pluto: a reply that is none is refused, and shown") {
  const std::vector<std::pair<std::string, const char*>> cases{
      {"\n", "line 1 does not begin with a number and a space: \"\""},
      {"HTTP/1.1 400 Bad Request\r\n", "\"HTTP/1.1 400 Bad Request?\""},
      {"00 a\n", "line 1 does not begin"},
      {"000\n", "line 1 does not begin"},
      {"000a b\n", "line 1 does not begin"},
      {"-12 a\n", "line 1 does not begin"},
      {" 000 a\n", "line 1 does not begin"},
      {"123456 a\n", "line 1 does not begin"},
      {"000 a\nb\n", "line 2 does not begin"},
      {"000 a\n002 cut", "line 2 is cut off: \"002 cut\""},
      {"000", "line 1 is cut off"},
      {std::string("\0\0\0\0", 4), "line 1 is cut off: \"????\""},
      {"000 " + std::string(PlutoReply::maxLine, 'a') + "\n", "line 1 is too long"},
      {std::string(1u << 20, 'a'), "line 1 is too long"},
  };
  for (const auto& [bytes, words] : cases) {
    const std::string said = refusal(bytes);
    if (!has(said, words)) fail(__FILE__, __LINE__, said + " does not say " + words);
    CHECK(said.size() < 256);
  }
}

TEST("pluto: a reply has bounds, in lines and in bytes") {
  std::string lines;
  for (size_t count = 0; count < PlutoReply::maxLines; count++) lines += "000 \n";
  CHECK_EQ(PlutoReply::parse(lines).count(), PlutoReply::maxLines);
  CHECK(has(refusal(lines + "000 \n"), "more than 262144 lines"));

  const std::string line = "000 " + std::string(PlutoReply::maxLine - 5, 'a') + "\n";
  std::string bytes;
  while (bytes.size() < PlutoReply::maxBytes) bytes += line;
  CHECK_EQ(PlutoReply::parse(bytes).count(), PlutoReply::maxBytes / line.size());
  CHECK(has(refusal(bytes + line), "longer than 33554432 bytes"));
}

TEST("pluto: a status says its version, unless a connection only pretends to") {
  const auto version = [](const std::string& bytes) { return PlutoVersion::in(PlutoReply::parse(bytes)); };
  const PlutoVersion old = version("000 using kernel interface: xfrm\n000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10\n");
  CHECK_EQ(old.version, "4.10");
  CHECK_EQ(old.vendor, "OE-Libreswan-4.10");
  const PlutoVersion recent =
      version("002 \"pluto_version=9\": x\n002 pluto_version=5.2, pluto_vendorid=OE-Libreswan-5.2, audit-log=yes\n");
  CHECK_EQ(recent.version, "5.2");
  CHECK_EQ(recent.vendor, "OE-Libreswan-5.2");
  CHECK_EQ(version("000 pluto_version=4.15\n").vendor, "");
  for (const char* bytes : {"", "000 nothing\n", "000 \"pluto_version=4.10\"\n", "000 pluto_version=\n", "000 pluto_version=, x\n"}) {
    CHECK_THROWS(Failure, version(bytes));
  }
}

}  // namespace corax::test
