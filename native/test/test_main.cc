// Runs the registered cases, all or those whose name contains the argument, and prints TAP (test anything
// protocol). Exit code 1 when one failed, or none ran.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>

#include "test/check.h"

int main(int argc, char** argv) {
  // By the line, so that what a sanitizer says comes after the cases that passed.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  auto cases = corax::test::cases();
  if (argc > 1) {
    const auto unwanted = [&](const auto& test) { return std::strstr(test.name, argv[1]) == nullptr; };
    cases.erase(std::remove_if(cases.begin(), cases.end(), unwanted), cases.end());
  }
  std::printf("1..%zu\n", cases.size());
  size_t number = 0;
  int failed = 0;
  for (const auto& test : cases) {
    ++number;
    try {
      test.run();
      std::printf("ok %zu - %s\n", number, test.name);
    } catch (const std::exception& error) {
      ++failed;
      std::printf("not ok %zu - %s\n# %s\n", number, test.name, error.what());
    }
  }
  return failed == 0 && number > 0 ? 0 : 1;
}
