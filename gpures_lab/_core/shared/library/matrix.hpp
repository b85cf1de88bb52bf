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

// z[i, j] = sum over k of a[i, k] * b[k, j], added in order of k: whatever is done for speed runs
// along i and j, so no sum is reordered.
template <class T>
struct Product {
  const T *a, *b;
  T* z;
  i64 inner, columns;

  GPURES_OP void row(i64 i) const {
    T* const out = z + i * columns;
    for_each_index([out](i64 j) GPURES_LAMBDA { out[j] = T{}; }, 0, columns);
    for (i64 k = 0; k < inner; ++k) {
      const T factor = a[i * inner + k];
      const T* const from = b + k * columns;
      for_each_index([=](i64 j) GPURES_LAMBDA { out[j] = add(out[j], multiply(factor, from[j])); },
                     0, columns);
    }
  }

#if !GPURES_DEVICE_COMPILE  // there a block runs OnBlock<Gemm>
  // Eight registers of AVX-512. Narrower tiles GCC unrolls before it looks for vectors.
  static constexpr i64 kWidth = 32, kRows = sizeof(T) == 8 ? 2 : 4;

  // A tile of z, kept in registers over all of k.
  template <i64 Rows>
  GPURES_OP void tile(i64 i, i64 j) const {
    T total[Rows][kWidth]{};
    for (i64 k = 0; k < inner; ++k) {
      const T* const from = b + k * columns + j;
      for (i64 r = 0; r < Rows; ++r) {
        const T factor = a[(i + r) * inner + k];
        for (i64 c = 0; c < kWidth; ++c) total[r][c] = add(total[r][c], multiply(factor, from[c]));
      }
    }
    for (i64 r = 0; r < Rows; ++r) {
      for (i64 c = 0; c < kWidth; ++c) z[(i + r) * columns + j + c] = total[r][c];
    }
  }

  // Columns outside: a tile's columns of b then come from the cache for every row. The last tile
  // may overlap the one before, and writes the same there.
  GPURES_OP void tiles(i64 begin, i64 end) const {
    for (i64 first = 0; first < columns; first += kWidth) {
      const i64 j = first + kWidth <= columns ? first : columns - kWidth;
      i64 i = begin;
      for (; i + kRows <= end; i += kRows) tile<kRows>(i, j);
      for (; i < end; ++i) tile<1>(i, j);
    }
  }
#endif
};

template <class T, int A, int B, int Z>
struct Gemm {
  static GPURES_OP void run(const Call& call) {
    if (!product_fits<B, Z>(call)) return;
    const Product<T> product{array<T>(call, A), array<T>(call, B), array<T>(call, Z),
                             call.shapes[1], call.space[1]};
#if !GPURES_DEVICE_COMPILE
    if constexpr (kIsReal<T> || kIsInteger<T>) {
      if (product.columns >= product.kWidth) return product.tiles(call.begin, call.end);
    }
#endif
    for (i64 i = call.begin; i < call.end; ++i) product.row(i);
  }
};

}  // namespace gpures::library
