// Sort on a block: a bitonic network over the keys of extremes.hpp, in the scratch area where they
// fit, else in the output. Every merge begins with a comparison of mirrored places, so that all
// comparisons point upwards, and places past the end, as if they held the highest key, stay put:
// any length will do. Equal keys are equal bits, so the result is Sort's.
#pragma once

#include "../sort.hpp"
#include "block.hpp"

namespace gpures::library {

template <class T, int X, int Z>
struct OnBlock<Sort<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  using Key = KeyOf<T>;
  static constexpr i64 kScratchKeys = kScratchBytes / sizeof(Key);

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    T* const z = array<T>(call, Z);
    const i64 n = call.end;
    Key* const keys =
        n <= kScratchKeys ? reinterpret_cast<Key*>(block.scratch()) : array<Key>(call, Z);
    sort(block, array<T>(call, X), keys, n);
    for_each_strided(block, [=](i64 i) GPURES_LAMBDA { z[i] = from_key<T>(keys[i]); }, 0, n);
    block.sync();
  }

  // The keys of x, in order.
  template <class Block>
  static GPURES_OP void sort(const Block& block, const T* x, Key* keys, i64 n) {
    // Highest: a NaN's key is above every number's.
    for_each_strided(block, [=](i64 i) GPURES_LAMBDA { keys[i] = to_key<Highest>(x[i]); }, 0, n);
    block.sync();
    int top = 0;
    while ((i64{1} << top) < n) ++top;
    for (int size = 1; size <= top; ++size) {
      compare(block, keys, n, top, [=](i64 pair) GPURES_LAMBDA {
        const i64 half = i64{1} << (size - 1);
        const i64 place = pair & (half - 1), start = (pair - place) << 1;
        return Pair{start + place, start + (half << 1) - 1 - place};
      });
      for (int span = size - 2; span >= 0; --span) {
        compare(block, keys, n, top, [=](i64 pair) GPURES_LAMBDA {
          const i64 half = i64{1} << span;
          const i64 place = pair & (half - 1), low = ((pair - place) << 1) + place;
          return Pair{low, low + half};
        });
      }
    }
  }

 private:
  struct Pair {
    i64 low, high;
  };

  template <class Block, class Places>
  static GPURES_OP void compare(const Block& block, Key* keys, i64 n, int top,
                                const Places& places) {
    for_each_strided(
        block,
        [&](i64 pair) GPURES_LAMBDA {
          const Pair at = places(pair);
          if (at.high >= n) return;
          const Key low = keys[at.low], high = keys[at.high];
          if (!(high < low)) return;
          keys[at.low] = high;
          keys[at.high] = low;
        },
        0, i64{1} << (top - 1));
    block.sync();
  }
};

}  // namespace gpures::library
