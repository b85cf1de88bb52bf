// Sort in passes: tiles that fit a block's scratch area, then merges of neighbours that double
// their length. A merge is cut into pieces of equal length by its merge path: how many of the first
// k come from the left run is found by bisection, so that pieces know nothing of each other.
#pragma once

#include "../block/sort.hpp"
#include "passes.hpp"

namespace gpures::library {

template <class T, int X, int Z>
struct InPasses<Sort<T, X, Z>> {
  using OneBlock = OnBlock<Sort<T, X, Z>>;
  using Key = KeyOf<T>;
  static constexpr i64 kTile = OneBlock::kScratchKeys;
  static constexpr i64 kPiece = kTile / 4;  // in, out, and room for where it begins

  static WidePlan plan(const Call& call) {
    const i64 n = call.space[0];
    const u64 bytes = merges(n) > 0 ? static_cast<u64>(n) * sizeof(Key) : 0;
    return {static_cast<u32>(1 + merges(n)), 0, static_cast<u64>(n > 0 ? divided_up(n, kPiece) : 1),
            bytes};
  }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    const i64 n = call.end;
    // The last pass writes the output.
    Key* const own = array<Key>(call, Z);
    Key* const other = memory_of<Key>(pass);
    const bool into_own = (merges(n) - pass.number) % 2 == 0;
    Key* const to = into_own ? own : other;
    const Key* const from = into_own ? other : own;
    const bool last = pass.number == merges(n);
    const auto store = [&](i64 i, Key key) GPURES_LAMBDA {
      if (last) {
        array<T>(call, Z)[i] = from_key<T>(key);
      } else {
        to[i] = key;
      }
    };
    if (pass.number == 0) {
      const T* const x = array<T>(call, X);
      Key* const keys = reinterpret_cast<Key*>(block.scratch());
      for_each_part(pass, divided_up(n, kTile), [&](i64 tile) GPURES_LAMBDA {
        const i64 first = tile * kTile, size = n - first < kTile ? n - first : kTile;
        OneBlock::sort(block, x + first, keys, size);
        for_each_strided(block, [&](i64 i) GPURES_LAMBDA { store(first + i, keys[i]); }, 0, size);
        block.sync();
      });
      return;
    }
    const i64 run = kTile << (pass.number - 1);
    for_each_part(pass, divided_up(n, kPiece), [&](i64 piece) GPURES_LAMBDA {
      const i64 first = piece * kPiece, size = n - first < kPiece ? n - first : kPiece;
      const i64 begin = first / (2 * run) * (2 * run);
      const i64 middle = begin + run < n ? begin + run : n;
      const i64 end = middle + run < n ? middle + run : n;
      merge(block, {from + begin, middle - begin}, {from + middle, end - middle}, first - begin,
            size, [&](i64 i, Key key) GPURES_LAMBDA { store(first + i, key); });
    });
  }

 private:
  struct Run {
    const Key* keys;
    i64 size;
  };

  // Passes after the tiles.
  static GPURES_OP int merges(i64 n) {
    int count = 0;
    for (i64 run = kTile; run < n; run *= 2) ++count;
    return count;
  }

  // How many of the first `k` of both together are the left one's; of equal keys its come first.
  static GPURES_OP i64 from_left(const Run& left, const Run& right, i64 k) {
    i64 low = k > right.size ? k - right.size : 0, high = k < left.size ? k : left.size;
    while (low < high) {
      const i64 middle = (low + high) / 2;
      if (right.keys[k - 1 - middle] < left.keys[middle]) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  // Keys [first, first + size) of both runs together, to `store(i, key)`.
  template <class Block, class Store>
  static GPURES_OP void merge(const Block& block, const Run& left, const Run& right, i64 first,
                              i64 size, const Store& store) {
    Key* const in = reinterpret_cast<Key*>(block.scratch());
    Key* const out = in + kPiece;
    i64* const at = reinterpret_cast<i64*>(block.scratch() + 2 * kPiece * sizeof(Key));
    for_each_strided(
        block,
        [&](i64 which) GPURES_LAMBDA { at[which] = from_left(left, right, first + which * size); },
        0, 2);
    block.sync();
    const i64 a = at[0], b = first - a;
    const Run lefts{in, at[1] - a}, rights{in + lefts.size, size - lefts.size};
    for_each_strided(
        block,
        [&](i64 i) GPURES_LAMBDA {
          in[i] = i < lefts.size ? left.keys[a + i] : right.keys[b + i - lefts.size];
        },
        0, size);
    block.sync();
    const i64 each = divided_up(size, block.threads());
    const i64 begin = block.thread() * each < size ? block.thread() * each : size;
    const i64 end = begin + each < size ? begin + each : size;
    i64 l = from_left(lefts, rights, begin), r = begin - l;
    for (i64 i = begin; i < end; ++i) {
      const bool take_right =
          l >= lefts.size || (r < rights.size && rights.keys[r] < lefts.keys[l]);
      out[i] = take_right ? rights.keys[r++] : lefts.keys[l++];
    }
    block.sync();
    for_each_strided(block, [&](i64 i) GPURES_LAMBDA { store(i, out[i]); }, 0, size);
    block.sync();
  }
};

}  // namespace gpures::library
