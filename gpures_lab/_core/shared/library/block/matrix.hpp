// Gemv, Gemm and Stencil on a block: one element of the output is one thread's, but a long row of
// Gemv is the whole block's.
#pragma once

#include "../stencil.hpp"
#include "grid.hpp"
#include "pairwise.hpp"
#include "reductions.hpp"

namespace gpures::library {

template <class T, int A, int X, int Z>
struct OnBlock<Gemv<T, A, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  static constexpr bool kPairwise = kIsReal<Real<T>>;
  static constexpr i64 kAlone = Pairwise<float>::kLeaf / 2;  // columns of a row for one thread

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const i64 rows = call.shapes[0], columns = call.shapes[1];
    if (!has_extent(call, A, 0, rows, call.sizes[Z])) return;
    if (!has_extent(call, X, 0, call.sizes[X], columns)) return;
    const T* const x = array<T>(call, X);
    T* const z = array<T>(call, Z);
    const auto load = [&](i64 i) GPURES_LAMBDA {
      return LoadProduct<T>{array<T>(call, A) + i * columns, x};
    };
    if (columns <= kAlone) {
      for_each_strided(
          block, [&](i64 i) GPURES_LAMBDA { z[i] = alone(load(i), columns); }, call.begin,
          call.end);
      return;
    }
    const T* a = array<T>(call, A) + call.begin * columns;
    for (i64 i = call.begin; i < call.end; ++i, a += columns) {
      const T total = together(block, LoadProduct<T>{a, x}, columns);
      if (block.thread() == 0) z[i] = total;
    }
  }

 private:
  static GPURES_OP T alone(const LoadProduct<T>& load, i64 columns) {
    if constexpr (kPairwise) {
      return sum_leaf<T>(load, columns);
    } else {
      T total{};
      for (i64 k = 0; k < columns; ++k) total = add(total, load(k));
      return total;
    }
  }

  template <class Block>
  static GPURES_OP T together(const Block& block, const LoadProduct<T>& load, i64 columns) {
    if constexpr (kPairwise) {
      return sum_terms<T>(block, load, columns);
    } else {
      T total{};
      for_each_strided(
          block, [&](i64 k) GPURES_LAMBDA { total = add(total, load(k)); }, 0, columns);
      return reduce(block, total, Plus{});
    }
  }
};

template <class T, int A, int B, int Z>
struct OnBlock<Gemm<T, A, B, Z>> {
  static constexpr bool kAnyBlocks = true;

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const i64 inner = call.shapes[1];
    const i64 columns = call.space[1];
    if (!product_fits<B, Z>(call)) return;
    for_each_place(block, call.begin, call.end, columns, [&](i64 i, i64 j) GPURES_LAMBDA {
      const T* const a = array<T>(call, A) + i * inner;
      const T* const b = array<T>(call, B) + j;
      T total{};
      for (i64 k = 0; k < inner; ++k) total = add(total, multiply(a[k], b[k * columns]));
      array<T>(call, Z)[i * columns + j] = total;
    });
  }
};

template <class T, int U, int V>
struct OnBlock<HeatStep<T, U, V>> {
  static constexpr bool kAnyBlocks = true;

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    const i64 rows = call.shapes[0], columns = call.shapes[1];
    if (!grid_fits<V>(call)) return;
    const T alpha = load_param<T>(call.params, 0);
    for_each_place(block, call.begin, call.end, columns, [&](i64 i, i64 j) GPURES_LAMBDA {
      const T* const u = array<T>(call, U) + i * columns + j;
      T* const v = array<T>(call, V) + i * columns + j;
      if (i == 0 || i == rows - 1 || j == 0 || j == columns - 1) {
        *v = *u;
        return;
      }
      const T around = (u[-columns] + u[columns]) + (u[-1] + u[1]);
      *v = *u + alpha * (around - 4 * *u);
    });
  }
};

}  // namespace gpures::library
