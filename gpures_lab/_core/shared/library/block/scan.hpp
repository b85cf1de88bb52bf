// Scan on a block, a tile at a time through the scratch area. Integer sums are associative: each
// thread adds up its part of the tile, and the parts' totals are added log(threads) times. A float
// sum in order is one chain of additions, so one thread walks it while the others only move data.
#pragma once

#include "../scan.hpp"
#include "block.hpp"

namespace gpures::library {

template <class T, int X, int Z>
struct OnBlock<Scan<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  using Out = Wrapping<SumOf<T>>;
  static constexpr u32 kTileBytes = 16384;
  static constexpr i64 kTile = kTileBytes / sizeof(Out);

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    Out* const z = array<Out>(call, Z);
    const Out* const before = call.begin > 0 ? z + call.begin - 1 : nullptr;
    tiles(block, array<T>(call, X), z, before, call.begin, call.end);
  }

  // Elements [begin, end) on top of `before`, what those before them come to: null, there are none.
  template <class Block, class In>
  static GPURES_OP void tiles(const Block& block, const In* x, Out* z, const Out* before, i64 begin,
                              i64 end) {
    Out* const tile = reinterpret_cast<Out*>(block.scratch());
    for (i64 first = begin; first < end; first += kTile) {
      const i64 count = end - first < kTile ? end - first : kTile;
      for_each_strided(
          block, [&](i64 i) GPURES_LAMBDA { tile[i] = convert<Out>(x[first + i]); }, 0, count);
      // Element 0 is thread 0's own. The scan starts with the element itself, not 0 plus it: a
      // leading -0 stays, as in NumPy.
      if (block.thread() == 0 && before) tile[0] = add(*before, tile[0]);
      block.sync();
      if constexpr (kIsInteger<Out>) {
        scan_parts(block, tile, count);
      } else if (block.thread() == 0) {
        for (i64 i = 1; i < count; ++i) tile[i] = add(tile[i - 1], tile[i]);
      }
      block.sync();
      for_each_strided(block, [&](i64 i) GPURES_LAMBDA { z[first + i] = tile[i]; }, 0, count);
      block.sync();
      before = z + first + count - 1;
    }
  }

 private:
  template <class Block>
  static GPURES_OP void scan_parts(const Block& block, Out* tile, i64 count) {
    Out* const totals = reinterpret_cast<Out*>(block.scratch() + kTileBytes);
    const i64 threads = block.threads(), thread = block.thread();
    const i64 part = (count + threads - 1) / threads;
    const i64 begin = thread * part < count ? thread * part : count;
    const i64 end = begin + part < count ? begin + part : count;
    for (i64 i = begin + 1; i < end; ++i) tile[i] = add(tile[i - 1], tile[i]);
    totals[thread] = begin < end ? tile[end - 1] : Out{};
    block.sync();
    for (i64 step = 1; step < threads; step *= 2) {
      const Out before = thread >= step ? totals[thread - step] : Out{};
      block.sync();
      totals[thread] = add(before, totals[thread]);
      block.sync();
    }
    if (thread == 0) return;
    for (i64 i = begin; i < end; ++i) tile[i] = add(totals[thread - 1], tile[i]);
  }
};

}  // namespace gpures::library
