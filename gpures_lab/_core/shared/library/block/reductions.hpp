// Sum, Dot, Mean, Norm on a block. Integers add up in any order; the others keep pairwise order.
#pragma once

#include "../moments.hpp"
#include "pairwise.hpp"

namespace gpures::library {

struct Plus {
  template <class T>
  GPURES_OP T operator()(T a, T b) const {
    return add(a, b);
  }
};

// `load(i)` over [begin, end) on top of what an earlier slice left in `z`.
template <class T, class Block, class Load>
GPURES_OP void accumulate_slice(const Block& block, const Load& load, const Call& call, T* z) {
  T total{};
  for_each_strided(
      block, [&](i64 i) GPURES_LAMBDA { total = add(total, load(i)); }, call.begin, call.end);
  total = reduce(block, total, Plus{});
  if (block.thread() == 0) z[0] = call.begin == 0 ? total : add(z[0], total);
}

template <class T, int X, int Z>
struct OnBlock<IntegerSum<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const T* const x = array<T>(call, X);
    const auto load = [x](i64 i) GPURES_LAMBDA { return convert<u64>(x[i]); };
    accumulate_slice<u64>(block, load, call, array<u64>(call, Z));
  }
};

template <class T, int X, int Y, int Z>
struct OnBlock<IntegerDot<T, X, Y, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    if (!has_extent(call, Y, 0, call.sizes[Y], call.sizes[X])) return;
    const LoadProduct<T> load{array<T>(call, X), array<T>(call, Y)};
    accumulate_slice<T>(block, load, call, array<T>(call, Z));
  }
};

template <class T, int X, int Z>
struct OnBlock<FloatSum<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const T total = sum_terms<T>(block, LoadOne<T>{array<T>(call, X)}, call.end);
    if (block.thread() == 0) array<T>(call, Z)[0] = total;
  }
};

template <class T, int X, int Y, int Z>
struct OnBlock<FloatDot<T, X, Y, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    if (!has_extent(call, Y, 0, call.sizes[Y], call.sizes[X])) return;
    const LoadProduct<T> load{array<T>(call, X), array<T>(call, Y)};
    const T total = sum_terms<T>(block, load, call.end);
    if (block.thread() == 0) array<T>(call, Z)[0] = total;
  }
};

template <class T, int X, int Z>
struct OnBlock<Mean<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    using Kernel = Mean<T, X, Z>;
    using Out = MeanOf<T>;
    const T* const x = array<T>(call, X);
    const i64 n = call.end;
    Out mean;
    if constexpr (kIsReal<Real<T>>) {
      mean = Kernel::divided(sum_terms<T>(block, LoadOne<T>{x}, n), n);
    } else {
      double total = 0;
      for (i64 first = 0; first < n; first += Kernel::kBuffer) {
        const i64 size = n - first < Kernel::kBuffer ? n - first : Kernel::kBuffer;
        total += BlockPairwise<double>::sum(block, LoadDouble<T>{x + first}, size);
      }
      mean = Kernel::divided(total, n);
    }
    if (block.thread() == 0) array<Out>(call, Z)[0] = mean;
  }
};

template <class T, int X, int Z>
struct OnBlock<Norm<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    using R = Real<MeanOf<T>>;
    const LoadSquare<T> load{array<T>(call, X)};
    const R total = sum_terms<R>(block, load, call.end);
    if (block.thread() == 0) array<R>(call, Z)[0] = square_root(total);
  }
};

}  // namespace gpures::library
