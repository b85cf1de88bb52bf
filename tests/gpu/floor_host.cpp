// The host's side of floor.cu. `words`: payload words before the sequence, 0 for the bare flag.
#include <atomic>
#include <chrono>

extern "C" unsigned long long ping_pong(unsigned long long* there, unsigned long long* back,
                                        unsigned long long rounds, int words,
                                        unsigned long long* spans) {
  using Clock = std::chrono::steady_clock;
  for (unsigned long long n = 1; n <= rounds; ++n) {
    const auto since = Clock::now();
    for (int w = 1; w <= words; ++w) there[w] = n;
    std::atomic_ref<unsigned long long>(*there).store(n, std::memory_order_release);
    unsigned long long looks = 0;
    while (std::atomic_ref<unsigned long long>(*back).load(std::memory_order_acquire) != n) {
      if (++looks % 4096 == 0 && Clock::now() - since > std::chrono::seconds(3)) return n - 1;
    }
    spans[n - 1] = static_cast<unsigned long long>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - since).count());
  }
  return rounds;
}
