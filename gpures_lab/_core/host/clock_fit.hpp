// A device's clock against the host's. A message is taken after it was posted and arrives after it
// was done, so each one bounds the offset from both sides; the bounds widen as the clocks drift.
#pragma once

#include <algorithm>

#include "shared/base.hpp"

namespace gpures {

class ClockFit {
 public:
  static constexpr i64 kDriftPerMillion = 50;    // of two quartz clocks, with room
  static constexpr i64 kLargestErrorNs = 5'000;  // beyond it a queue time would mean nothing

  // Host: posted, arrived. Device: taken, done. All in nanoseconds.
  void add(u64 posted, u64 taken, u64 done, u64 arrived) {
    const i64 low = i64(posted) - i64(taken), high = i64(arrived) - i64(done);
    if (seen_) {
      const i64 drift = i64(arrived - at_) * kDriftPerMillion / 1'000'000 + 1;
      low_ = std::max(low_ - drift, low);
      high_ = std::min(high_ + drift, high);
    }
    if (!seen_ || low_ > high_) {  // the first, or a clock that was set: begin again
      low_ = low;
      high_ = high;
    }
    seen_ = true;
    at_ = arrived;
  }
  bool known() const { return seen_ && error_ns() <= kLargestErrorNs; }
  i64 error_ns() const { return (high_ - low_) / 2; }
  // Host time of a device time.
  u64 to_host(u64 device) const { return u64(i64(device) + low_ + (high_ - low_) / 2); }

 private:
  bool seen_ = false;
  i64 low_ = 0, high_ = 0;
  u64 at_ = 0;
};

}  // namespace gpures
