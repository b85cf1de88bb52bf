// Checks for native tests: each failure prints where and what; main() returns check::result().
#pragma once

#include <cstdio>

namespace check {

inline int failures = 0;

inline bool expect(bool good, const char* text, const char* file, int line) {
  if (good) return true;
  ++failures;
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
  return false;
}

template <class Left, class Right>
bool equal(const Left& left, const Right& right, const char* text, const char* file, int line) {
  if (left == right) return true;
  ++failures;
  std::fprintf(stderr, "%s:%d: failed: %s: %lld and %lld\n", file, line, text,
               static_cast<long long>(left), static_cast<long long>(right));
  return false;
}

inline int result() {
  if (failures != 0) std::fprintf(stderr, "%d checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(condition) check::expect(bool(condition), #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(left, right) \
  check::equal((left), (right), #left " == " #right, __FILE__, __LINE__)
