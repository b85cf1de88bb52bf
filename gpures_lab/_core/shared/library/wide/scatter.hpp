// Scatter in three passes: nobody's, the highest index that wants each place, its value. So of
// equal indices the last one stays, whichever block sees it first.
#pragma once

#include "../block/indexed.hpp"
#include "passes.hpp"

namespace gpures::library {

template <class Value, int X, int Index, int Z>
struct InPasses<Scatter<Value, X, Index, Z>> {
  static WidePlan plan(const Call& call) {
    const i64 n = call.space[0], places = call.sizes[Z];
    return {3, 0, blocks_for(n > places ? n : places), static_cast<u64>(places) * sizeof(i64)};
  }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    i64* const claims = memory_of<i64>(pass);
    const i64 places = call.sizes[Z];
    if (pass.number == 0) {
      for_each_wide(block, pass, [=](i64 k) GPURES_LAMBDA { claims[k] = -1; }, 0, places);
    } else if (pass.number == 1) {
      const i64* const index = array<i64>(call, Index);
      for_each_wide(
          block, pass,
          [&](i64 i) GPURES_LAMBDA {
            const i64 at = index[i];
            if (static_cast<u64>(at) < static_cast<u64>(places)) {
              block.raise(claims + at, i);
            } else {
              report_fault(call.fault, Z, -1, at, places);
            }
          },
          0, call.end);
    } else {
      const Value* const x = array<Value>(call, X);
      Value* const z = array<Value>(call, Z);
      for_each_wide(
          block, pass,
          [=](i64 k) GPURES_LAMBDA {
            if (claims[k] >= 0) z[k] = x[claims[k]];
          },
          0, places);
    }
  }
};

}  // namespace gpures::library
