#include "host/clock.hpp"

namespace gpures {

const TickScale& TickScale::get() {
  static const TickScale scale;
  return scale;
}

// Two milliseconds give 5e-5: far below the width of a histogram bucket.
TickScale::TickScale() {
  const u64 ns0 = steady_ns();
  const u64 ticks0 = ticks();
  u64 ns1 = ns0;
  while (ns1 - ns0 < 2'000'000) ns1 = steady_ns();
  const u64 ticks1 = ticks();
  ticks_per_ns_ = double(ticks1 - ticks0) / double(ns1 - ns0);
  factor_ = u64(16777216.0 / ticks_per_ns_ + 0.5);
}

}  // namespace gpures
