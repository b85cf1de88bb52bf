// Gemv and a small Gemm, row-major. Shapes that do not fit are reported, and nothing is written.
#pragma once

#include "reductions.hpp"

namespace gpures::library {

// z[i] = sum over k of a[i, k] * x[k]: each row as Dot. Shapes: a, x, z.
template <class T, int A, int X, int Z>
struct Gemv {
  static GPURES_OP void run(const Call& call) {
    const i64 rows = call.shapes[0], columns = call.shapes[1];
    if (!has_extent(call, A, 0, rows, call.sizes[Z])) return;
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

// Shapes: a, b (once if it is the same array), z.
template <int B, int Z>
GPURES_OP bool product_fits(const Call& call) {
  const i64* const a = call.shapes;
  const i64* const b = call.shapes + 2 * B;
  const i64* const z = call.shapes + 2 * Z;
  return has_extent(call, 0, 0, a[0], z[0]) && has_extent(call, B, 0, b[0], a[1]) &&
         has_extent(call, B, 1, b[1], z[1]) && has_extent(call, Z, 1, z[1], call.space[1]);
}

// z[i, j] = sum over k of a[i, k] * b[k, j], added in order of k: the inner loop runs along j, so
// it vectorizes without reordering the sum.
template <class T, int A, int B, int Z>
struct Gemm {
  static GPURES_OP void run(const Call& call) {
    const i64 inner = call.shapes[1];
    const i64 columns = call.space[1];
    if (!product_fits<B, Z>(call)) return;
    for (i64 i = call.begin; i < call.end; ++i) {
      const T* const a = array<T>(call, A) + i * inner;
      T* const z = array<T>(call, Z) + i * columns;
      for_each_index([z](i64 j) GPURES_LAMBDA { z[j] = T{}; }, 0, columns);
      for (i64 k = 0; k < inner; ++k) {
        const T factor = a[k];
        const T* const b = array<T>(call, B) + k * columns;
        for_each_index([=](i64 j) GPURES_LAMBDA { z[j] = add(z[j], multiply(factor, b[j])); }, 0,
                       columns);
      }
    }
  }
};

}  // namespace gpures::library
