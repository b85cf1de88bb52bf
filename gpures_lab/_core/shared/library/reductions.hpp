// Sum and Dot: floats in pairwise order over the whole range at once, integers in slices, with the
// accumulator in the output between them.
#pragma once

#include "convert.hpp"
#include "elementwise.hpp"
#include "pairwise.hpp"

namespace gpures::library {

// Integer sums accumulate in 64 bits, as np.sum; floats and complex keep their type.
template <class T>
using SumOf = Select<kIsUnsigned<T>, u64, Select<kIsSigned<T> || kSameType<T, Bool>, i64, T>>;

template <class T, int X, int Z>
struct IntegerSum {
  static GPURES_OP void run(const Call& call) {
    const T* const x = array<T>(call, X);
    u64* const z = array<u64>(call, Z);
    u64 total = call.begin == 0 ? 0 : z[0];
    for (i64 i = call.begin; i < call.end; ++i) total += convert<u64>(x[i]);
    z[0] = total;
  }
};

template <class T>
struct LoadOne {
  const T* x;
  GPURES_OP T operator()(i64 i) const { return x[i]; }
};

template <class T>
struct LoadProduct {
  const T *x, *y;
  GPURES_OP T operator()(i64 i) const { return multiply(x[i], y[i]); }
};

// np.sum adds the pairwise sum to its identity, 0: a sum of negative zeros is +0.
template <class T, class Load>
GPURES_OP T sum_terms(const Load& load, i64 n) {
  return n == 0 ? T{} : add(T{}, Pairwise<T>::sum(load, n));
}

template <class T, int X, int Z>
struct FloatSum {
  static GPURES_OP void run(const Call& call) {
    array<T>(call, Z)[0] = sum_terms<T>(LoadOne<T>{array<T>(call, X)}, call.end);
  }
};

template <class T, int X, int Y, int Z>
struct FloatDot {
  static GPURES_OP void run(const Call& call) {
    if (!has_extent(call, Y, 0, call.sizes[Y], call.sizes[X])) return;
    const LoadProduct<T> load{array<T>(call, X), array<T>(call, Y)};
    array<T>(call, Z)[0] = sum_terms<T>(load, call.end);
  }
};

// In the arrays' own dtype, wrapping; for bool: is any pair true.
template <class T, int X, int Y, int Z>
struct IntegerDot {
  static GPURES_OP void run(const Call& call) {
    if (!has_extent(call, Y, 0, call.sizes[Y], call.sizes[X])) return;
    const T* const x = array<T>(call, X);
    const T* const y = array<T>(call, Y);
    T* const z = array<T>(call, Z);
    T total = call.begin == 0 ? T{} : z[0];
    for (i64 i = call.begin; i < call.end; ++i) total = add(total, multiply(x[i], y[i]));
    z[0] = total;
  }
};

}  // namespace gpures::library
