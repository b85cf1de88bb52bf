// Softmax and LayerNorm on a block: long rows by all threads together, short ones a thread each.
#pragma once

#include "../rows.hpp"
#include "pairwise.hpp"

namespace gpures::library {

// Calls `alone(row, columns)` on one thread a row, or `together(row, columns)` on all of them.
template <int Ndim, class T, class Block, class Alone, class Together>
GPURES_OP void share_rows(const Block& block, const Call& call, const Alone& alone,
                          const Together& together) {
  const i64 columns = call.space[Ndim - 1];
  const i64 rows = Ndim == 1 ? 1 : (Ndim == 3 ? call.space[1] : 1);
  const i64 begin = Ndim == 1 ? 0 : call.begin * rows;
  const i64 end = Ndim == 1 ? 1 : call.end * rows;
  if (columns <= Pairwise<T>::kLeaf) {
    for_each_strided(block, [&](i64 row) GPURES_LAMBDA { alone(row, columns); }, begin, end);
    return;
  }
  for (i64 row = begin; row < end; ++row) together(row, columns);
}

template <class T, int Ndim, int X, int Z>
struct OnBlock<Softmax<T, Ndim, X, Z>> {
  static constexpr bool kAnyBlocks = false;

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    share_rows<Ndim, T>(
        block, call,
        [&](i64 row, i64 columns) GPURES_LAMBDA {
          if (columns == 0) return;
          const T* const x = array<T>(call, X) + row * columns;
          T* const z = array<T>(call, Z) + row * columns;
          T highest = x[0];
          for (i64 j = 1; j < columns; ++j) highest = x[j] > highest ? x[j] : highest;
          for (i64 j = 0; j < columns; ++j) z[j] = exponential(x[j] - highest);
          const T total = sum_leaf<T>(LoadOne<T>{z}, columns);
          for (i64 j = 0; j < columns; ++j) z[j] = z[j] / total;
        },
        [&](i64 row, i64 columns) GPURES_LAMBDA {
          const T* const x = array<T>(call, X) + row * columns;
          T* const z = array<T>(call, Z) + row * columns;
          T highest = x[0];
          const auto higher = [](T a, T b) GPURES_LAMBDA { return b > a ? b : a; };
          for_each_strided(
              block, [&](i64 j) GPURES_LAMBDA { highest = higher(highest, x[j]); }, 1, columns);
          highest = reduce(block, highest, higher);
          for_each_strided(
              block, [=](i64 j) GPURES_LAMBDA { z[j] = exponential(x[j] - highest); }, 0, columns);
          block.sync();
          const T total = sum_terms<T>(block, LoadOne<T>{z}, columns);
          for_each_strided(block, [=](i64 j) GPURES_LAMBDA { z[j] = z[j] / total; }, 0, columns);
        });
  }
};

template <class T, int Ndim, int X, int Weight, int Bias, int Z>
struct OnBlock<LayerNorm<T, Ndim, X, Weight, Bias, Z>> {
  static constexpr bool kAnyBlocks = false;

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const i64 needed = call.shapes[Ndim - 1];  // x is the first array
    if (!has_extent(call, Weight, 0, call.sizes[Weight], needed)) return;
    if (!has_extent(call, Bias, 0, call.sizes[Bias], needed)) return;
    const T eps = load_param<T>(call.params, 0);
    share_rows<Ndim, T>(
        block, call,
        [&](i64 row, i64 columns) GPURES_LAMBDA {
          const T* const x = array<T>(call, X) + row * columns;
          const T count = static_cast<T>(columns);
          const T mean = sum_leaf<T>(LoadOne<T>{x}, columns) / count;
          const T variance = sum_leaf<T>(LoadDeviation<T>{x, mean}, columns) / count;
          const Index write = index(call, row, columns, mean, square_root(variance + eps));
          for (i64 j = 0; j < columns; ++j) write(j);
        },
        [&](i64 row, i64 columns) GPURES_LAMBDA {
          const T* const x = array<T>(call, X) + row * columns;
          const T count = static_cast<T>(columns);
          const T mean = sum_terms<T>(block, LoadOne<T>{x}, columns) / count;
          const T variance = sum_terms<T>(block, LoadDeviation<T>{x, mean}, columns) / count;
          const Index write = index(call, row, columns, mean, square_root(variance + eps));
          for_each_strided(block, write, 0, columns);
        });
  }

  struct Index {
    const T *x, *weight, *bias;
    T* z;
    T mean, deviation;
    GPURES_OP void operator()(i64 j) const {
      z[j] = (x[j] - mean) / deviation * weight[j] + bias[j];
    }
  };

  // What writes a row's elements.
  static GPURES_OP Index index(const Call& call, i64 row, i64 columns, T mean, T deviation) {
    return {array<T>(call, X) + row * columns,
            array<T>(call, Weight),
            array<T>(call, Bias),
            array<T>(call, Z) + row * columns,
            mean,
            deviation};
  }
};

}  // namespace gpures::library
