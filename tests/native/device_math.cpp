// What only a device computes this way, against the C library.
#include <cmath>
#include <cstring>

#include "check.hpp"
#include "shared/library/math.hpp"

using namespace gpures;
using namespace gpures::library;

namespace {

bool same(float a, float b) {
  if (a != a && b != b) return true;
  const i64 apart = i64{bits_as<i32>(a)} - bits_as<i32>(b);
  return apart >= -1 && apart <= 1;  // C libraries differ by one
}

void sides(float x, float y) {
  if (!CHECK(same(hypotenuse_in_double(x, y), std::hypot(x, y)))) {
    std::fprintf(stderr, "hypotenuse(%a, %a) = %a\n", double(x), double(y),
                 double(hypotenuse_in_double(x, y)));
  }
}

}  // namespace

int main() {
  constexpr u32 kSpecial[] = {0,          0x80000000, 1,          0x007fffff, 0x00800000,
                              0x3f800000, 0xc0490fdb, 0x7f7fffff, 0xff7fffff, 0x7f800000,
                              0xff800000, 0x7fc00000, 0x5f000000, 0x1f000000};
  for (const u32 x : kSpecial) {
    for (const u32 y : kSpecial) sides(bits_as<float>(x), bits_as<float>(y));
  }
  u32 bits = 12345;
  for (int n = 0; n < 100'000; ++n) {
    const u32 x = bits = bits * 1664525 + 1013904223;
    const u32 y = bits = bits * 1664525 + 1013904223;
    sides(bits_as<float>(x), bits_as<float>(n % 2 ? y : (x & 0xff000000u) | (y & 0x00ffffffu)));
  }
  return check::result();
}
