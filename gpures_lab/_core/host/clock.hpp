// The host's clock: constant-rate CPU ticks where there are any (11 ns a read against 31 ns for
// clock_gettime), nanoseconds elsewhere.
#pragma once

#include <chrono>
#include <thread>

#include "shared/base.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace gpures {

inline u64 steady_ns() {
  return u64(std::chrono::duration_cast<std::chrono::nanoseconds>(
                 std::chrono::steady_clock::now().time_since_epoch())
                 .count());
}

inline u64 ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  u64 value;
  asm volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  return steady_ns();
#endif
}

inline void cpu_relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The number of the core that runs this thread, at least a moment ago; -1 where nobody tells.
inline int current_core() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// Sleeps of some microseconds. Linux lets a thread's timers be late by 50 us unless it asks for
// less; what the thread had comes back at the end.
class PunctualSleep {
 public:
  PunctualSleep();
  ~PunctualSleep();
  PunctualSleep(const PunctualSleep&) = delete;
  void sleep(u64 ns) const { std::this_thread::sleep_for(std::chrono::nanoseconds(ns)); }

 private:
  [[maybe_unused]] int slack_ns_ = 0;
};

// Nanoseconds per tick, fitted once against steady_clock.
class TickScale {
 public:
  static const TickScale& get();

  u64 to_ns(u64 span) const {
    // 24-bit fixed point: a multiply instead of two conversions, several times a message.
    if (span >> 40) return u64(double(span) / ticks_per_ns_);
    return (span * factor_) >> 24;
  }
  u64 from_ns(u64 ns) const { return u64(double(ns) * ticks_per_ns_); }

 private:
  TickScale();
  u64 factor_;  // ns per tick, 24 fractional bits
  double ticks_per_ns_;
};

}  // namespace gpures
