// A test harness of one page: TEST registers, CHECK throws, main (test_main.cc) runs and counts.
#pragma once

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace corax::test {

struct Case {
  const char* name;
  std::function<void()> run;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

struct Registration {
  Registration(const char* name, std::function<void()> run) { cases().push_back({name, std::move(run)}); }
};

class CheckFailed : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::ostringstream text;
  text << file << ':' << line << ": " << what;
  throw CheckFailed(text.str());
}

template <typename T>
std::string shown(const T& value) {
  if constexpr (std::is_arithmetic_v<T>)
    return std::to_string(value);
  else
    return '"' + std::string(value) + '"';
}

template <typename A, typename B>
bool equal(const A& a, const B& b) {
  // Wide enough for either, whatever their signs.
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B>)
    return static_cast<__int128>(a) == static_cast<__int128>(b);
  else if constexpr (std::is_arithmetic_v<A>)
    return a == b;
  else
    return std::string(a) == std::string(b);
}

template <typename A, typename B>
void checkEqual(const A& actual, const B& expected, const char* words, const char* file, int line) {
  if (!equal(actual, expected)) fail(file, line, std::string(words) + ": " + shown(actual) + " is not " + shown(expected));
}

}  // namespace corax::test

#define CORAX_JOIN2(a, b) a##b
#define CORAX_JOIN(a, b) CORAX_JOIN2(a, b)
#define CORAX_TEST(name, function)                                                    \
  static void function();                                                             \
  static const ::corax::test::Registration CORAX_JOIN(function, Registered)(name, function); \
  static void function()

// TEST("a sentence that says what holds") { … }
#define TEST(name) CORAX_TEST(name, CORAX_JOIN(testAtLine, __LINE__))
#define CHECK(condition) \
  ((condition) ? void() : ::corax::test::fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(actual, expected) \
  ::corax::test::checkEqual((actual), (expected), #actual " == " #expected, __FILE__, __LINE__)
#define CHECK_THROWS(type, expression)                                                    \
  do {                                                                                    \
    bool thrown = false;                                                                  \
    try {                                                                                 \
      static_cast<void>(expression);                                                                 \
    } catch (const type&) {                                                               \
      thrown = true;                                                                      \
    }                                                                                     \
    if (!thrown) ::corax::test::fail(__FILE__, __LINE__, #expression " did not throw " #type); \
  } while (false)
