// One explicit step of the heat equation on a grid: each inner point moves towards its four
// neighbours' sum, the border stays.
#pragma once

#include "matrix.hpp"

namespace gpures::library {

template <int V>
GPURES_OP bool grid_fits(const Call& call) {
  const i64* const u = call.shapes;
  const i64* const v = call.shapes + 2 * V;
  return has_extent(call, 0, 0, u[0], v[0]) && has_extent(call, 0, 1, u[1], v[1]) &&
         has_extent(call, V, 1, v[1], call.space[1]);
}

template <class T, int U, int V>
struct HeatStep {
  static GPURES_OP void run(const Call& call) {
    const i64 rows = call.shapes[0], columns = call.shapes[1];
    if (!grid_fits<V>(call)) return;
    const T alpha = load_param<T>(call.params, 0);
    for (i64 i = call.begin; i < call.end; ++i) {
      const T* const u = array<T>(call, U) + i * columns;
      T* const v = array<T>(call, V) + i * columns;
      if (i == 0 || i == rows - 1 || columns < 3) {
        for_each_index([=](i64 j) GPURES_LAMBDA { v[j] = u[j]; }, 0, columns);
        continue;
      }
      v[0] = u[0];
      for_each_index(
          [=](i64 j) GPURES_LAMBDA {
            const T around = (u[j - columns] + u[j + columns]) + (u[j - 1] + u[j + 1]);
            v[j] = u[j] + alpha * (around - 4 * u[j]);
          },
          1, columns - 1);
      v[columns - 1] = u[columns - 1];
    }
  }
};

}  // namespace gpures::library
