// Counts in equal bins between lo and hi, as np.histogram with float64 edges: bins are half-open,
// the last one closed; what lies outside, and NaN, is not counted.
#pragma once

#include "convert.hpp"
#include "elementwise.hpp"

namespace gpures::library {

struct Bins {
  double lo, hi;
  i64 count;

  GPURES_OP double edge(i64 k) const {
    const double width = (hi - lo) / static_cast<double>(count);
    return k == count ? hi : static_cast<double>(k) * width + lo;
  }

  // The bin of `x`, -1 for none. The division can be off by one bin: the edges decide.
  GPURES_OP i64 find(double x) const {
    if (!(x >= lo && x <= hi)) return -1;
    i64 bin = static_cast<i64>((x - lo) / (hi - lo) * static_cast<double>(count));
    if (bin >= count) bin = count - 1;
    if (x < edge(bin)) return bin - 1;
    return x >= edge(bin + 1) && bin != count - 1 ? bin + 1 : bin;
  }
};

template <class T, int X, int Z>
struct Histogram {
  static GPURES_OP Bins bins(const Call& call) {
    return {load_param<double>(call.params, 0), load_param<double>(call.params, 1), call.sizes[Z]};
  }

  static GPURES_OP void run(const Call& call) {
    const T* const x = array<T>(call, X);
    i64* const z = array<i64>(call, Z);
    const Bins bins = Histogram::bins(call);
    if (call.begin == 0) {
      for (i64 k = 0; k < bins.count; ++k) z[k] = 0;
    }
    if (!(bins.lo < bins.hi)) return;
    for (i64 i = call.begin; i < call.end; ++i) {
      const i64 bin = bins.find(convert<double>(x[i]));
      if (bin >= 0) z[bin] += 1;
    }
  }
};

}  // namespace gpures::library
