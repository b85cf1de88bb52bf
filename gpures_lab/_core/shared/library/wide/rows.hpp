// Softmax, LayerNorm and Gemv over many rows: the rows are the parts, and one launch does. A block
// takes a long row alone, or as many short ones as it has threads. One row alone, as long as the
// array, is cut up: its sums in pairwise order, between passes over the elements.
#pragma once

#include "../../kernel_abi.hpp"
#include "../block/matrix.hpp"
#include "../block/rows.hpp"
#include "extremes.hpp"
#include "tree.hpp"

namespace gpures::library {

// Calls `run(call)` with rows [begin, end) of `rows`, `together` at a time.
template <class Run>
GPURES_OP void for_each_group(const Pass& pass, const Call& call, i64 rows, i64 together,
                              const Run& run) {
  for_each_part(pass, divided_up(rows, together), [&](i64 group) GPURES_LAMBDA {
    Call some = call;
    some.begin = group * together;
    some.end = some.begin + together < rows ? some.begin + together : rows;
    run(some);
  });
}

template <class T, int Ndim>
struct RowsInPasses {
  static constexpr bool kCut = Ndim == 1;
  static GPURES_OP i64 rows_of(const i64* space) { return space[0] * (Ndim == 3 ? space[1] : 1); }

  static WidePlan plan(const Call& call) {
    const i64 rows = rows_of(call.space), columns = call.space[Ndim - 1];
    return {1, 0, columns <= Pairwise<T>::kLeaf ? blocks_for(rows) : static_cast<u64>(rows), 0};
  }

  // Rows of rows are rows: the middle index is one.
  template <class Kernel, class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    const i64 columns = call.space[Ndim - 1];
    const i64 space[kMaxIndices] = {call.space[0], Ndim == 3 ? 1 : columns, columns};
    Call flat = call;
    flat.space = space;
    for_each_group(pass, flat, rows_of(call.space),
                   columns <= Pairwise<T>::kLeaf ? i64{block.threads()} : 1,
                   [&](const Call& some) GPURES_LAMBDA { OnBlock<Kernel>::run(block, some); });
  }
};

template <class T, int Ndim, int X, int Z>
struct InPasses<Softmax<T, Ndim, X, Z>> {
  using Rows = RowsInPasses<T, Ndim>;
  using Tree = PairwiseInPasses<T>;

  static WidePlan plan(const Call& call) {
    if constexpr (!Rows::kCut) return Rows::plan(call);
    const i64 n = call.space[0];
    const u64 parts = static_cast<u64>(Parts::of(n).count), tree = Tree::blocks(n);
    const u64 blocks = blocks_for(n);
    return {5, 1 << 3, blocks > parts + tree ? blocks : parts + tree,
            Tree::kBytes + sizeof(Placed<T>) * u64{kMostParts}};
  }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    if constexpr (Rows::kCut) {
      cut(block, pass, call);
    } else {
      Rows::template run<Softmax<T, Ndim, X, Z>>(block, pass, call);
    }
  }

 private:
  // The highest of each part; exp(x - highest); its sums; the whole sum; the quotients.
  template <class Block>
  static GPURES_OP void cut(const Block& block, const Pass& pass, const Call& call) {
    const T* const x = array<T>(call, X);
    T* const z = array<T>(call, Z);
    const i64 n = call.end;
    if (n == 0) return;
    T* const sums = memory_of<T>(pass);
    Pass behind = pass;
    behind.memory = pass.memory + Tree::kBytes;
    // As OnBlock's: a NaN replaces nothing.
    const auto better = [](T a, T b) GPURES_LAMBDA { return a > b; };
    switch (pass.number) {
      case 0:
        return BestInPasses<T>::parts(block, behind, LoadOne<T>{x}, better, n);
      case 1: {
        const T highest = BestInPasses<T>::whole(block, behind, better, n).value;
        return for_each_wide(
            block, pass, [=](i64 j) GPURES_LAMBDA { z[j] = exponential(x[j] - highest); }, 0, n);
      }
      case 2:
        return Tree::parts(block, pass, LoadOne<T>{z}, n, sums);
      case 3: {
        const T total = Tree::whole(block, n, sums);
        block.sync();
        if (block.thread() == 0) sums[0] = total;
        return;
      }
      default: {
        const T total = sums[0];
        for_each_wide(block, pass, [=](i64 j) GPURES_LAMBDA { z[j] = z[j] / total; }, 0, n);
      }
    }
  }
};

template <class T, int Ndim, int X, int Weight, int Bias, int Z>
struct InPasses<LayerNorm<T, Ndim, X, Weight, Bias, Z>> {
  using Kernel = LayerNorm<T, Ndim, X, Weight, Bias, Z>;
  using Rows = RowsInPasses<T, Ndim>;
  using Tree = PairwiseInPasses<T>;

  static WidePlan plan(const Call& call) {
    if constexpr (!Rows::kCut) return Rows::plan(call);
    const u64 blocks = blocks_for(call.space[0]), tree = Tree::blocks(call.space[0]);
    return {5, 1 << 1 | 1 << 3, blocks > tree ? blocks : tree, Tree::kBytes + 2 * sizeof(T)};
  }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    if constexpr (Rows::kCut) {
      cut(block, pass, call);
    } else {
      Rows::template run<Kernel>(block, pass, call);
    }
  }

 private:
  // Sums; the mean; sums of the squared deviations; the deviation; the results.
  template <class Block>
  static GPURES_OP void cut(const Block& block, const Pass& pass, const Call& call) {
    const i64 n = call.end;
    if (!has_extent(call, Weight, 0, call.sizes[Weight], n)) return;
    if (!has_extent(call, Bias, 0, call.sizes[Bias], n)) return;
    const T* const x = array<T>(call, X);
    T* const sums = memory_of<T>(pass);
    T* const found = reinterpret_cast<T*>(pass.memory + Tree::kBytes);  // mean, deviation
    const T count = static_cast<T>(n);
    switch (pass.number) {
      case 0:
        return Tree::parts(block, pass, LoadOne<T>{x}, n, sums);
      case 1: {
        const T mean = Tree::whole(block, n, sums) / count;
        if (block.thread() == 0) found[0] = mean;
        return;
      }
      case 2:
        return Tree::parts(block, pass, LoadDeviation<T>{x, found[0]}, n, sums);
      case 3: {
        const T variance = Tree::whole(block, n, sums) / count;
        const T eps = load_param<T>(call.params, 0);
        if (block.thread() == 0) found[1] = square_root(variance + eps);
        return;
      }
      default:
        for_each_wide(block, pass, OnBlock<Kernel>::index(call, 0, n, found[0], found[1]), 0, n);
    }
  }
};

template <class T, int A, int X, int Z>
struct InPasses<Gemv<T, A, X, Z>> {
  using Kernel = Gemv<T, A, X, Z>;

  static WidePlan plan(const Call& call) {
    const i64 rows = call.space[0], columns = call.shapes[1];
    return {1, 0, columns <= OnBlock<Kernel>::kAlone ? blocks_for(rows) : static_cast<u64>(rows),
            0};
  }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    for_each_group(pass, call, call.end,
                   call.shapes[1] <= OnBlock<Kernel>::kAlone ? i64{block.threads()} : 1,
                   [&](const Call& some) GPURES_LAMBDA { OnBlock<Kernel>::run(block, some); });
  }
};

}  // namespace gpures::library
