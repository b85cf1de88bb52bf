// Mean and the Euclidean norm, over the whole range at once, in pairwise order.
#pragma once

#include "math.hpp"
#include "reductions.hpp"

namespace gpures::library {

// Integers are averaged in float64.
template <class T>
using MeanOf = Select<kIsReal<Real<T>>, T, double>;

template <class T>
struct LoadDouble {
  const T* x;
  GPURES_OP double operator()(i64 i) const { return convert<double>(x[i]); }
};

// As np.mean: integers are converted and summed 8,192 at a time (NumPy's buffer), each buffer in
// pairwise order. The division is in double precision. The mean of nothing is NaN.
template <class T, int X, int Z>
struct Mean {
  static constexpr i64 kBuffer = 8192;
  using Out = MeanOf<T>;

  static GPURES_OP Out divided(Out total, i64 n) {
    const double count = static_cast<double>(n);
    if constexpr (kIsComplex<T>) {
      return convert<T>(divide(convert<c128>(total), c128{count, 0}));
    } else {
      return static_cast<Out>(static_cast<double>(total) / count);
    }
  }

  static GPURES_OP void run(const Call& call) {
    const T* const x = array<T>(call, X);
    const i64 n = call.end;
    Out* const z = array<Out>(call, Z);
    if constexpr (kIsReal<Real<T>>) {
      z[0] = divided(sum_terms<T>(LoadOne<T>{x}, n), n);
    } else {
      double total = 0;
      for (i64 first = 0; first < n; first += kBuffer) {
        const i64 size = n - first < kBuffer ? n - first : kBuffer;
        total += Pairwise<double>::sum(LoadDouble<T>{x + first}, size);
      }
      z[0] = divided(total, n);
    }
  }
};

template <class T>
struct LoadSquare {
  const T* x;
  GPURES_OP auto operator()(i64 i) const {
    if constexpr (kIsComplex<T>) {
      return x[i].re * x[i].re + x[i].im * x[i].im;
    } else {
      const auto value = convert<MeanOf<T>>(x[i]);
      return value * value;
    }
  }
};

template <class T, int X, int Z>
struct Norm {
  static GPURES_OP void run(const Call& call) {
    using R = Real<MeanOf<T>>;
    const LoadSquare<T> load{array<T>(call, X)};
    array<R>(call, Z)[0] = square_root(sum_terms<R>(load, call.end));
  }
};

}  // namespace gpures::library
