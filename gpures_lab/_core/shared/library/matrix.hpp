// Gemv and a small Gemm, row-major. Shapes that do not fit are reported, and nothing is written.
#pragma once

#include "reductions.hpp"

namespace gpures::library {

// `extent` is what the array has along `axis`; a kernel that needs more would read past its end.
GPURES_OP bool has_extent(const Call& call, i64 array, i64 axis, i64 extent, i64 needed) {
  if (extent >= needed) return true;
  report_fault(call.fault, array, axis, extent, extent);
  return false;
}

// z[i] = sum over k of a[i, k] * x[k]: each row as Dot. Shapes: a, x, z.
template <class T, int A, int X, int Z>
struct Gemv {
  static GPURES_OP void run(const Call& call) {
    const i64 rows = call.shapes[0], columns = call.shapes[1];
    if (!has_extent(call, A, 0, rows, call.space[0])) return;
    if (!has_extent(call, X, 0, call.sizes[X], columns)) return;
    const T* const x = array<T>(call, X);
    T* const z = array<T>(call, Z);
    for (i64 i = call.begin; i < call.end; ++i) {
      const T* const row = array<T>(call, A) + i * columns;
      if constexpr (kIsReal<Real<T>>) {
        z[i] = sum_terms<T>(LoadProduct<T>{row, x}, columns);
      } else {
        T total{};
        for (i64 k = 0; k < columns; ++k) total = add(total, multiply(row[k], x[k]));
        z[i] = total;
      }
    }
  }
};

// z[i, j] = sum over k of a[i, k] * b[k, j], added in order of k: the inner loop runs along j, so
// it vectorizes without reordering the sum. Shapes: a, b (once if it is the same array), z.
template <class T, int A, int B, int Z>
struct Gemm {
  static GPURES_OP void run(const Call& call) {
    const i64 inner = call.shapes[1];
    const i64* const b_shape = call.shapes + 2 * B;
    const i64 columns = call.space[1];
    if (!has_extent(call, A, 0, call.shapes[0], call.space[0])) return;
    if (!has_extent(call, B, 0, b_shape[0], inner)) return;
    if (!has_extent(call, B, 1, b_shape[1], columns)) return;
    for (i64 i = call.begin; i < call.end; ++i) {
      const T* const a = array<T>(call, A) + i * inner;
      T* const z = array<T>(call, Z) + i * columns;
      for_each_index([z](i64 j) GPURES_LAMBDA { z[j] = T{}; }, 0, columns);
      for (i64 k = 0; k < inner; ++k) {
        const T factor = a[k];
        const T* const b = array<T>(call, B) + k * b_shape[1];
        for_each_index([=](i64 j) GPURES_LAMBDA { z[j] = add(z[j], multiply(factor, b[j])); }, 0,
                       columns);
      }
    }
  }
};

}  // namespace gpures::library
