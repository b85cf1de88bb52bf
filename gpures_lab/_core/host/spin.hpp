// How long a host thread spins before it sleeps.
//
// With one fixed time the two sides of a ring fall into step: a wake-up takes longer than the
// other side's spin, so the other side sleeps too, and so on for ever (a ping of 0.2 us took 40 to
// 125 us on a loaded machine). So a sleep that the other side ended soon doubles the time, any
// other sleep halves it. Where even the longest spin ends in a sleep, spinning is what keeps the
// other side off its core: then it is short again for a while.
#pragma once

#include <algorithm>
#include <atomic>

#include "host/clock.hpp"

namespace gpures {

class Spin {
 public:
  static constexpr u64 kMostNs = 250'000;
  static constexpr u32 kShortOnes = 8;

  // 0 never spins.
  explicit Spin(u64 least_ns)
      : least_(TickScale::get().from_ns(least_ns)),
        most_(least_ns == 0 ? 0 : std::max(least_, TickScale::get().from_ns(kMostNs))),
        span_(least_) {}

  u64 ticks() const { return span_.load(std::memory_order_relaxed); }
  // Several threads may say so at once; one of them wins.
  void slept(bool ended_soon) {
    const u64 span = ticks();
    u64 next = std::max(span / 2, least_);
    if (ended_soon) {
      const u32 short_ones = short_ones_.load(std::memory_order_relaxed);
      if (short_ones != 0) {
        short_ones_.store(short_ones - 1, std::memory_order_relaxed);
        next = span;
      } else if (span < most_) {
        next = std::min(2 * span, most_);
      } else {
        short_ones_.store(kShortOnes, std::memory_order_relaxed);
        next = least_;
      }
    }
    span_.store(next, std::memory_order_relaxed);
  }
  // Was a wait of this many ticks one that longer spinning would have met?
  bool is_soon(u64 waited) const { return waited < 2 * most_; }

 private:
  const u64 least_, most_;
  std::atomic<u64> span_;
  std::atomic<u32> short_ones_{0};  // sleeps to go before it grows again
};

// Where the two sides of a ring ran last. On one core the side that spins keeps the other from
// working (a ping took 170 us there, asleep it takes 13), so it sleeps at once. The scheduler
// likes to wake a sleeper where its waker runs, so that happens on idle machines too.
class Cores {
 public:
  void worker_is_here() { note(worker_, current_core()); }
  void caller_is_here() { note(caller_, current_core()); }
  bool worker_is_beside_caller() { return meet(worker_, caller_); }
  bool caller_is_beside_worker() { return meet(caller_, worker_); }

 private:
  // Threads move seldom, and a store would take the line from the other side at every look.
  static void note(std::atomic<int>& own, int here) {
    if (own.load(std::memory_order_relaxed) != here) own.store(here, std::memory_order_relaxed);
  }
  static bool meet(std::atomic<int>& own, const std::atomic<int>& other) {
    const int here = current_core();
    note(own, here);
    return here >= 0 && other.load(std::memory_order_relaxed) == here;
  }

  std::atomic<int> worker_{-1}, caller_{-1};  // of several callers the last; -1: unknown
};

}  // namespace gpures
