// Scan of integers in three passes: sums of parts, their running sums, then each part from where
// the one before it ended. A float sum in order is one chain of additions: it stays one block's.
#pragma once

#include "../block/scan.hpp"
#include "passes.hpp"

namespace gpures::library {

template <class T, int X, int Z>
  requires kIsInteger<SumOf<T>>
struct InPasses<Scan<T, X, Z>> {
  using OneBlock = OnBlock<Scan<T, X, Z>>;
  using Out = typename OneBlock::Out;
  static constexpr i64 kMost = OneBlock::kTile;

  static WidePlan plan(const Call& call) {
    const i64 count = Parts::of(call.space[0], kMost).count;
    return {3, 2, static_cast<u64>(count > 0 ? count : 1), sizeof(Out) * static_cast<u64>(kMost)};
  }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    const T* const x = array<T>(call, X);
    Out* const sums = memory_of<Out>(pass);
    const Parts parts = Parts::of(call.end, kMost);
    if (pass.number == 0) {
      for_each_part(pass, parts.count, [&](i64 part) GPURES_LAMBDA {
        Out total{};
        for_each_strided(
            block, [&](i64 i) GPURES_LAMBDA { total = add(total, convert<Out>(x[i])); },
            parts.begin(part), parts.end(part));
        total = reduce(block, total, Plus{});
        if (block.thread() == 0) sums[part] = total;
      });
    } else if (pass.number == 1) {
      OneBlock::tiles(block, sums, sums, nullptr, 0, parts.count);
    } else {
      for_each_part(pass, parts.count, [&](i64 part) GPURES_LAMBDA {
        const Out* const before = part == 0 ? nullptr : sums + part - 1;
        OneBlock::tiles(block, x, array<Out>(call, Z), before, parts.begin(part), parts.end(part));
      });
    }
  }
};

}  // namespace gpures::library
