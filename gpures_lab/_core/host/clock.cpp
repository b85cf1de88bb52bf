#include "host/clock.hpp"

#if defined(__linux__)
#include <sys/prctl.h>
#endif

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

#if defined(__linux__)
PunctualSleep::PunctualSleep() : slack_ns_(prctl(PR_GET_TIMERSLACK)) {
  prctl(PR_SET_TIMERSLACK, 1);
}
PunctualSleep::~PunctualSleep() {
  if (slack_ns_ > 0) prctl(PR_SET_TIMERSLACK, slack_ns_);
}
#else
PunctualSleep::PunctualSleep() = default;
PunctualSleep::~PunctualSleep() = default;
#endif

}  // namespace gpures
