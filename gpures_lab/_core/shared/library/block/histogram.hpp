// Histogram on a block: counts in the scratch area where the bins fit, else in the output itself.
#pragma once

#include "../histogram.hpp"
#include "block.hpp"

namespace gpures::library {

template <class T, int X, int Z>
struct OnBlock<Histogram<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  static constexpr i64 kBins = 8192;
  static constexpr i64 kRound = i64{1} << 31;  // a 32-bit count cannot overflow within it

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    i64* const z = array<i64>(call, Z);
    const Bins bins = Histogram<T, X, Z>::bins(call);
    if (call.begin == 0) {
      for_each_strided(block, [z](i64 k) GPURES_LAMBDA { z[k] = 0; }, 0, bins.count);
      block.sync();
    }
    if (!(bins.lo < bins.hi)) return;
    for (i64 first = call.begin; first < call.end; first += kRound) {
      const i64 last = call.end - first < kRound ? call.end : first + kRound;
      if (bins.count <= kBins) {
        count_in_scratch(block, call, bins, first, last);
      } else {
        u64* const counts = reinterpret_cast<u64*>(z);
        visit(block, call, bins, first, last,
              [&](i64 k) GPURES_LAMBDA { block.add(counts + k, u64{1}); });
      }
    }
  }

 private:
  template <class Block, class Count>
  static GPURES_OP void visit(const Block& block, const Call& call, const Bins& bins, i64 first,
                              i64 last, const Count& count) {
    const T* const x = array<T>(call, X);
    for_each_strided(
        block,
        [&](i64 i) GPURES_LAMBDA {
          const i64 bin = bins.find(convert<double>(x[i]));
          if (bin >= 0) count(bin);
        },
        first, last);
  }

  template <class Block>
  static GPURES_OP void count_in_scratch(const Block& block, const Call& call, const Bins& bins,
                                         i64 first, i64 last) {
    i64* const z = array<i64>(call, Z);
    u32* const counts = reinterpret_cast<u32*>(block.scratch());
    for_each_strided(block, [=](i64 k) GPURES_LAMBDA { counts[k] = 0; }, 0, bins.count);
    block.sync();
    visit(block, call, bins, first, last,
          [&](i64 k) GPURES_LAMBDA { block.add(counts + k, u32{1}); });
    block.sync();
    for_each_strided(block, [=](i64 k) GPURES_LAMBDA { z[k] += counts[k]; }, 0, bins.count);
    block.sync();
  }
};

}  // namespace gpures::library
