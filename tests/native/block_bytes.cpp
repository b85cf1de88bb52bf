// What a block copies and repeats, thread by thread: every byte once, none outside, at any
// alignment.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "shared/bytes.hpp"

using namespace gpures;

namespace {

struct Thread {
  static constexpr u32 kLanes = 32;  // one of many
  u32 number, count;
  u32 thread() const { return number; }
  u32 threads() const { return count; }
};

constexpr u64 kRoom = 4096, kEdge = 64;
alignas(64) u8 source[kRoom], target[kRoom], expected[kRoom];

template <class Work>
void by_all(u32 threads, const Work& work) {
  for (u32 t = threads; t-- > 0;) work(Thread{t, threads});
}

bool as_expected(const char* what, u64 to, u64 from, u64 bytes, u32 threads) {
  if (std::memcmp(target, expected, kRoom) == 0) return true;
  std::fprintf(stderr, "%s to +%llu from +%llu, %llu bytes, %u threads\n", what, to, from, bytes,
               threads);
  return false;
}

void copies(u64 to, u64 from, u64 bytes, u32 threads) {
  std::memset(target, 0xee, kRoom);
  std::memset(expected, 0xee, kRoom);
  std::memcpy(expected + kEdge + to, source + from, bytes);
  by_all(threads, [&](Thread env) { copy_bytes(env, target + kEdge + to, source + from, bytes); });
  CHECK(as_expected("copy", to, from, bytes, threads));
}

void repeats(u64 to, u64 element, u64 count, u32 threads) {
  const u64 bytes = element * count;
  std::memset(target, 0xee, kRoom);
  std::memset(expected, 0xee, kRoom);
  for (u64 n = 0; n < count; ++n) {
    std::memcpy(expected + kEdge + to + n * element, source, element);
  }
  by_all(threads,
         [&](Thread env) { repeat_bytes(env, target + kEdge + to, source, element, bytes); });
  CHECK(as_expected("repeat", to, element, bytes, threads));
}

void zeros(u64 to, u64 bytes, u32 threads) {
  std::memset(target, 0xee, kRoom);
  std::memset(expected, 0xee, kRoom);
  std::memset(expected + kEdge + to, 0, bytes);
  by_all(threads, [&](Thread env) { zero_bytes(env, target + kEdge + to, bytes); });
  CHECK(as_expected("zero", to, 0, bytes, threads));
}

}  // namespace

int main() {
  for (u64 n = 0; n < kRoom; ++n) source[n] = u8(n * 37 + n / 256 + 1);
  for (const u32 threads : {1u, 3u, 32u, 256u}) {
    for (const u64 to : {0, 1, 2, 4, 8, 12, 16}) {
      for (const u64 from : {0, 4, 7, 8, 16}) {
        for (const u64 bytes : {0, 1, 3, 4, 15, 16, 17, 1000, 3001}) {
          copies(to, from, bytes, threads);
          zeros(to, bytes, threads);
        }
      }
      for (const u64 element : {1, 2, 4, 8, 16}) {
        for (const u64 count : {0, 1, 2, 5, 100, 201}) repeats(to, element, count, threads);
      }
    }
  }
  return check::result();
}
