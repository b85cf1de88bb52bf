// A grain's service times: the device's histogram in buckets twice as wide, of only the range that
// occurred. A few hundred bytes for a grain that works, sixteen for one that does not.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "host/histogram.hpp"

namespace gpures {

class LatencyCounts {
 public:
  // `bucket` of the device's histogram: found already, so this is one compare and one increment.
  void add(u32 bucket) {
    const u32 at = bucket / 2 - first_;  // below first_ it wraps: one compare for both ends
    if (at < size_) {
      ++counts_[at];
    } else {
      grow(bucket / 2);
    }
  }

  // The first bucket's number, then the counts. metrics/histogram.py reads the same layout.
  std::vector<u64> packed() const {
    std::vector<u64> made(1 + size_, first_);
    std::copy_n(counts_.get(), size_, made.begin() + 1);
    return made;
  }

 private:
  static constexpr u32 kStep = 4;  // an octave at a time

  void grow(u32 wanted) {
    const u32 low = std::min<u32>(size_ ? first_ : wanted, wanted) / kStep * kStep;
    const u32 high = std::max<u32>(first_ + size_, (wanted / kStep + 1) * kStep);
    std::unique_ptr<u64[]> grown(new (std::nothrow) u64[high - low]());
    if (!grown) return;  // an estimate lacks one message; the message itself is answered
    std::copy_n(counts_.get(), size_, grown.get() + (size_ ? first_ - low : 0));
    counts_ = std::move(grown);
    first_ = u16(low);
    size_ = u16(high - low);
    ++counts_[wanted - low];
  }

  std::unique_ptr<u64[]> counts_;
  u16 first_ = 0, size_ = 0;
};

// What was counted between two packed() of one grain, `older` the earlier one (empty: none).
class CountsBetween {
 public:
  CountsBetween(std::span<const u64> newer, std::span<const u64> older) {
    if (!newer.empty()) first_ = newer[0];
    for (u64 at = 1; at < newer.size(); ++at) {
      const u64 bucket = first_ + at - 1;
      // The range only grows, so the older one lies within the newer.
      const u64 before = older.empty() ? 0 : bucket - older[0] + 1;
      const u64 had = before >= 1 && before < older.size() ? older[before] : 0;
      counts_.push_back(newer[at] - std::min(newer[at], had));
      total_ += counts_.back();
    }
  }

  u64 total() const { return total_; }
  // The smallest bound that `percent` of what was counted do not exceed; total() > 0.
  u64 percentile(u64 percent) const {
    const u64 rank = std::max<u64>(1, (total_ * percent + 99) / 100);
    u64 running = 0, at = 0;
    while (at + 1 < counts_.size() && (running += counts_[at]) < rank) ++at;
    return Histogram::upper_bound_ns(u32(2 * (first_ + at) + 1));
  }

 private:
  u64 first_ = 0, total_ = 0;
  std::vector<u64> counts_;
};

}  // namespace gpures
