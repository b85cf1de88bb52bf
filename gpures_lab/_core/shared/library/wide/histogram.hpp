// Histogram in two passes: zeros, then every block's counts are added to the output's.
#pragma once

#include "../block/histogram.hpp"
#include "passes.hpp"

namespace gpures::library {

template <class T, int X, int Z>
struct InPasses<Histogram<T, X, Z>> {
  using OneBlock = OnBlock<Histogram<T, X, Z>>;

  static WidePlan plan(const Call& call) { return {2, 0, blocks_for(call.space[0]), 0}; }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    const Bins bins = Histogram<T, X, Z>::bins(call);
    u64* const z = reinterpret_cast<u64*>(array<i64>(call, Z));
    if (pass.number == 0) {
      for_each_wide(block, pass, [z](i64 k) GPURES_LAMBDA { z[k] = 0; }, 0, bins.count);
      return;
    }
    if (!(bins.lo < bins.hi)) return;
    const auto visit = [&](i64 first, const auto& count) GPURES_LAMBDA {
      const i64 last = call.end - first < OneBlock::kRound ? call.end : first + OneBlock::kRound;
      const T* const x = array<T>(call, X);
      for_each_wide(
          block, pass,
          [&](i64 i) GPURES_LAMBDA {
            const i64 bin = bins.find(convert<double>(x[i]));
            if (bin >= 0) count(bin);
          },
          first, last);
    };
    u32* const counts = reinterpret_cast<u32*>(block.scratch());
    for (i64 first = call.begin; first < call.end; first += OneBlock::kRound) {
      if (bins.count > OneBlock::kBins) {
        visit(first, [&](i64 k) GPURES_LAMBDA { block.add(z + k, u64{1}); });
        continue;
      }
      for_each_strided(block, [=](i64 k) GPURES_LAMBDA { counts[k] = 0; }, 0, bins.count);
      block.sync();
      visit(first, [&](i64 k) GPURES_LAMBDA { block.add(counts + k, u32{1}); });
      block.sync();
      for_each_strided(
          block,
          [&](i64 k) GPURES_LAMBDA {
            if (counts[k] != 0) block.add(z + k, u64{counts[k]});
          },
          0, bins.count);
      block.sync();
    }
  }
};

}  // namespace gpures::library
