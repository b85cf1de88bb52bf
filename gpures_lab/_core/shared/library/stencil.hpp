// One explicit step of the heat equation on a grid: each inner point moves towards its four
// neighbours' sum, the border stays.
#pragma once

#include "matrix.hpp"

namespace gpures::library {

template <class T, int U, int V>
struct HeatStep {
  static GPURES_OP void run(const Call& call) {
    const i64 rows = call.space[0], columns = call.space[1];
    if (!has_extent(call, U, 0, call.shapes[0], rows)) return;
    const i64 width = call.shapes[1];
    if (!has_extent(call, U, 1, width, columns)) return;
    const T alpha = load_param<T>(call.params, 0);
    for (i64 i = call.begin; i < call.end; ++i) {
      const T* const u = array<T>(call, U) + i * width;
      T* const v = array<T>(call, V) + i * columns;
      if (i == 0 || i == rows - 1 || columns < 3) {
        for_each_index([=](i64 j) GPURES_LAMBDA { v[j] = u[j]; }, 0, columns);
        continue;
      }
      v[0] = u[0];
      for_each_index(
          [=](i64 j) GPURES_LAMBDA {
            const T around = (u[j - width] + u[j + width]) + (u[j - 1] + u[j + 1]);
            v[j] = u[j] + alpha * (around - 4 * u[j]);
          },
          1, columns - 1);
      v[columns - 1] = u[columns - 1];
    }
  }
};

}  // namespace gpures::library
