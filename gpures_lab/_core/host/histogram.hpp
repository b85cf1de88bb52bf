// Log-linear histogram of nanoseconds, eight buckets an octave (12.5 % wide), as HdrHistogram's.
// metrics/histogram.py reads the same layout.
#pragma once

#include <array>

#include "shared/base.hpp"

namespace gpures {

struct Histogram {
  static constexpr u32 kBuckets = 16 + 60 * 8;

  std::array<u64, kBuckets> counts{};
  u64 sum_ns = 0;

  static u32 bucket(u64 ns) {
    if (ns < 16) return u32(ns);
    const u32 octave = 63u - u32(__builtin_clzll(ns));
    return 16 + (octave - 4) * 8 + u32((ns >> (octave - 3)) & 7);
  }
  static u64 upper_bound_ns(u32 bucket) {
    if (bucket < 16) return bucket;
    const u32 octave = (bucket - 16) / 8, eighth = (bucket - 16) % 8;
    return (u64(8 + eighth + 1) << (octave + 1)) - 1;
  }
  u32 add(u64 ns) {  // returns the bucket
    const u32 found = bucket(ns);
    ++counts[found];
    sum_ns += ns;
    return found;
  }
  void merge(const Histogram& other) {
    for (u32 b = 0; b < kBuckets; ++b) counts[b] += other.counts[b];
    sum_ns += other.sum_ns;
  }
};

}  // namespace gpures
