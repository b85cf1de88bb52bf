// Sum, Dot, Mean, Norm in two passes: parts, then one block for what they come to.
#pragma once

#include "../block/reductions.hpp"
#include "tree.hpp"

namespace gpures::library {

// Of sums that come out the same in any order.
template <class T>
struct AnyOrderSum {
  static WidePlan plan(i64 n) {
    const i64 count = Parts::of(n).count;
    return {2, 2, static_cast<u64>(count > 0 ? count : 1), sizeof(T) * u64{kMostParts}};
  }

  template <class Block, class Load>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Load& load, i64 n, T* z) {
    T* const sums = memory_of<T>(pass);
    const Parts parts = Parts::of(n);
    const auto sum = [&](const auto& term, i64 begin, i64 end) GPURES_LAMBDA {
      T total{};
      for_each_strided(
          block, [&](i64 i) GPURES_LAMBDA { total = add(total, term(i)); }, begin, end);
      return reduce(block, total, Plus{});
    };
    if (pass.number == 0) {
      for_each_part(pass, parts.count, [&](i64 part) GPURES_LAMBDA {
        const T total = sum(load, parts.begin(part), parts.end(part));
        if (block.thread() == 0) sums[part] = total;
      });
      return;
    }
    const T total = sum(LoadOne<T>{sums}, 0, parts.count);
    if (block.thread() == 0) z[0] = total;
  }
};

template <class T, int X, int Z>
struct InPasses<IntegerSum<T, X, Z>> {
  static WidePlan plan(const Call& call) { return AnyOrderSum<u64>::plan(call.space[0]); }
  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    const T* const x = array<T>(call, X);
    const auto load = [x](i64 i) GPURES_LAMBDA { return convert<u64>(x[i]); };
    AnyOrderSum<u64>::run(block, pass, load, call.end, array<u64>(call, Z));
  }
};

template <class T, int X, int Y, int Z>
struct InPasses<IntegerDot<T, X, Y, Z>> {
  static WidePlan plan(const Call& call) { return AnyOrderSum<T>::plan(call.space[0]); }
  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    if (!has_extent(call, Y, 0, call.sizes[Y], call.sizes[X])) return;
    const LoadProduct<T> load{array<T>(call, X), array<T>(call, Y)};
    AnyOrderSum<T>::run(block, pass, load, call.end, array<T>(call, Z));
  }
};

// Of sums in pairwise order; `finish` makes the result of one.
template <class T>
struct PairwiseResult {
  static WidePlan plan(i64 n) {
    return {2, 2, PairwiseInPasses<T>::blocks(n), PairwiseInPasses<T>::kBytes};
  }

  template <class Block, class Load, class Out, class Finish>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Load& load, i64 n, Out* z,
                            const Finish& finish) {
    T* const sums = memory_of<T>(pass);
    if (pass.number == 0) return PairwiseInPasses<T>::parts(block, pass, load, n, sums);
    const T total = PairwiseInPasses<T>::whole(block, n, sums);
    if (block.thread() == 0) z[0] = finish(total);
  }
};

template <class T, int X, int Z>
struct InPasses<FloatSum<T, X, Z>> {
  static WidePlan plan(const Call& call) { return PairwiseResult<T>::plan(call.space[0]); }
  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    PairwiseResult<T>::run(block, pass, LoadOne<T>{array<T>(call, X)}, call.end, array<T>(call, Z),
                           [](T total) GPURES_LAMBDA { return total; });
  }
};

template <class T, int X, int Y, int Z>
struct InPasses<FloatDot<T, X, Y, Z>> {
  static WidePlan plan(const Call& call) { return PairwiseResult<T>::plan(call.space[0]); }
  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    if (!has_extent(call, Y, 0, call.sizes[Y], call.sizes[X])) return;
    const LoadProduct<T> load{array<T>(call, X), array<T>(call, Y)};
    PairwiseResult<T>::run(block, pass, load, call.end, array<T>(call, Z),
                           [](T total) GPURES_LAMBDA { return total; });
  }
};

template <class T, int X, int Z>
struct InPasses<Norm<T, X, Z>> {
  using R = Real<MeanOf<T>>;
  static WidePlan plan(const Call& call) { return PairwiseResult<R>::plan(call.space[0]); }
  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    PairwiseResult<R>::run(block, pass, LoadSquare<T>{array<T>(call, X)}, call.end,
                           array<R>(call, Z),
                           [](R total) GPURES_LAMBDA { return square_root(total); });
  }
};

// Of integers NumPy adds up buffer by buffer: a buffer is a block's, and their sums are one chain
// of additions, which one thread walks.
template <class T, int X, int Z>
struct InPasses<Mean<T, X, Z>> {
  using Kernel = Mean<T, X, Z>;
  using Out = MeanOf<T>;

  static WidePlan plan(const Call& call) {
    const i64 n = call.space[0];
    if constexpr (kIsReal<Real<T>>) return PairwiseResult<T>::plan(n);
    const u64 buffers = static_cast<u64>(n > 0 ? divided_up(n, Kernel::kBuffer) : 1);
    return {2, 2, buffers, buffers * sizeof(double)};
  }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    const T* const x = array<T>(call, X);
    Out* const z = array<Out>(call, Z);
    const i64 n = call.end;
    if constexpr (kIsReal<Real<T>>) {
      PairwiseResult<T>::run(block, pass, LoadOne<T>{x}, n, z,
                             [n](T total) GPURES_LAMBDA { return Kernel::divided(total, n); });
    } else {
      double* const sums = memory_of<double>(pass);
      const i64 buffers = divided_up(n, Kernel::kBuffer);
      if (pass.number == 0) {
        for_each_part(pass, buffers, [&](i64 buffer) GPURES_LAMBDA {
          const i64 first = buffer * Kernel::kBuffer;
          const i64 size = n - first < Kernel::kBuffer ? n - first : Kernel::kBuffer;
          const double total = BlockPairwise<double>::sum(block, LoadDouble<T>{x + first}, size);
          if (block.thread() == 0) sums[buffer] = total;
        });
      } else if (block.thread() == 0) {
        double total = 0;
        for (i64 buffer = 0; buffer < buffers; ++buffer) total += sums[buffer];
        z[0] = Kernel::divided(total, n);
      }
    }
  }
};

}  // namespace gpures::library
