// The host's side of floor.cu: nanoseconds of each round trip. `words`: payload words of the slot,
// of which the completion brings the sum in `sums` words; 0 and 0 for the bare flag.
// Returns how many rounds were answered, and rightly.
#include <atomic>
#include <chrono>

using u64 = unsigned long long;

extern "C" u64 ping_pong(u64* there, u64* back, u64 rounds, int words, int sums, u64* spans) {
  using Clock = std::chrono::steady_clock;
  for (u64 n = 1; n <= rounds; ++n) {
    const auto since = Clock::now();
    for (int w = 1; w <= words; ++w) there[w] = n;
    std::atomic_ref<u64>(*there).store(n, std::memory_order_release);
    u64 looks = 0;
    while (std::atomic_ref<u64>(*back).load(std::memory_order_acquire) != n) {
      if (++looks % 4096 == 0 && Clock::now() - since > std::chrono::seconds(3)) return n - 1;
    }
    for (int w = 1; w <= sums; ++w) {
      if (back[w] != n * u64(words)) return n - 1;
    }
    spans[n - 1] = u64(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - since).count());
  }
  return rounds;
}
