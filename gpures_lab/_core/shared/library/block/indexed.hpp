// Gather and Scatter on a block.
#pragma once

#include "../indexed.hpp"
#include "block.hpp"

namespace gpures::library {

template <class Value, int X, int Index, int Z>
struct OnBlock<Gather<Value, X, Index, Z>> {
  static constexpr bool kAnyBlocks = true;

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const Value* const x = array<Value>(call, X);
    const i64* const index = array<i64>(call, Index);
    Value* const z = array<Value>(call, Z);
    for_each_strided(
        block,
        [&](i64 i) GPURES_LAMBDA {
          const i64 at = index[i];
          if (static_cast<u64>(at) < static_cast<u64>(call.sizes[X])) {
            z[i] = x[at];
          } else {
            z[i] = Value{};
            report_fault(call.fault, X, -1, at, call.sizes[X]);
          }
        },
        call.begin, call.end);
  }
};

// Of equal indices the last one stays: in each round a thread stores only if no later one of the
// round has the same index, and rounds follow one another.
template <class Value, int X, int Index, int Z>
struct OnBlock<Scatter<Value, X, Index, Z>> {
  static constexpr bool kAnyBlocks = false;

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const Value* const x = array<Value>(call, X);
    const i64* const index = array<i64>(call, Index);
    Value* const z = array<Value>(call, Z);
    i64* const round = reinterpret_cast<i64*>(block.scratch());
    const u32 thread = block.thread(), threads = block.threads();
    for (i64 first = call.begin; first < call.end; first += threads) {
      const i64 i = first + thread;
      const i64 at = i < call.end ? index[i] : -1;
      round[thread] = at;
      block.sync();
      if (static_cast<u64>(at) < static_cast<u64>(call.sizes[Z])) {
        u32 later = thread + 1;
        while (later < threads && round[later] != at) ++later;
        if (later == threads) z[at] = x[i];
      } else if (i < call.end) {
        report_fault(call.fault, Z, -1, at, call.sizes[Z]);
      }
      block.sync();
    }
  }
};

}  // namespace gpures::library
