// Softmax and LayerNorm along the last axis; the space has as many indices as the arrays have
// dimensions. In place is fine: a row is read before it is written.
#pragma once

#include "math.hpp"
#include "matrix.hpp"

namespace gpures::library {

// Visits the rows of a slice: [begin, end) of the first index and all of those between it and the
// last. One-dimensional arrays are one row, so they are never sliced.
template <int Ndim, class Visit>
GPURES_OP void for_each_row(const Call& call, const Visit& visit) {
  if constexpr (Ndim == 1) {
    visit(0, call.space[0]);
  } else {
    const i64 middle = Ndim == 3 ? call.space[1] : 1;
    for (i64 row = call.begin * middle; row < call.end * middle; ++row) {
      visit(row, call.space[Ndim - 1]);
    }
  }
}

template <class T>
struct LoadDeviation {
  const T* x;
  T mean;
  GPURES_OP T operator()(i64 i) const {
    const T difference = x[i] - mean;
    return difference * difference;
  }
};

// exp(x - max) / sum, the sum in pairwise order.
template <class T, int Ndim, int X, int Z>
struct Softmax {
  static GPURES_OP void run(const Call& call) {
    for_each_row<Ndim>(call, [&call](i64 row, i64 columns) GPURES_LAMBDA {
      const T* const x = array<T>(call, X) + row * columns;
      T* const z = array<T>(call, Z) + row * columns;
      if (columns == 0) return;
      T highest = x[0];
      for (i64 j = 1; j < columns; ++j) highest = x[j] > highest ? x[j] : highest;
      for_each_index([=](i64 j) GPURES_LAMBDA { z[j] = exponential(x[j] - highest); }, 0, columns);
      const T total = sum_terms<T>(LoadOne<T>{z}, columns);
      for_each_index([=](i64 j) GPURES_LAMBDA { z[j] = z[j] / total; }, 0, columns);
    });
  }
};

// (x - mean) / sqrt(variance + eps) * weight + bias, both sums in pairwise order.
template <class T, int Ndim, int X, int Weight, int Bias, int Z>
struct LayerNorm {
  static GPURES_OP void run(const Call& call) {
    const i64 needed = call.shapes[Ndim - 1];  // x is the first array
    if (!has_extent(call, Weight, 0, call.sizes[Weight], needed)) return;
    if (!has_extent(call, Bias, 0, call.sizes[Bias], needed)) return;
    const T eps = load_param<T>(call.params, 0);
    for_each_row<Ndim>(call, [&call, eps](i64 row, i64 columns) GPURES_LAMBDA {
      const T* const x = array<T>(call, X) + row * columns;
      const T* const weight = array<T>(call, Weight);
      const T* const bias = array<T>(call, Bias);
      T* const z = array<T>(call, Z) + row * columns;
      const T count = static_cast<T>(columns);
      const T mean = sum_terms<T>(LoadOne<T>{x}, columns) / count;
      const T variance = sum_terms<T>(LoadDeviation<T>{x, mean}, columns) / count;
      const T deviation = square_root(variance + eps);
      for_each_index([=](i64 j)
                         GPURES_LAMBDA { z[j] = (x[j] - mean) / deviation * weight[j] + bias[j]; },
                     0, columns);
    });
  }
};

}  // namespace gpures::library
