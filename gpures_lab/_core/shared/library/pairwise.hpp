// Summation in NumPy's pairwise order, bit for bit: leaves of at most 128 reals, each added up in
// eight interleaved accumulators; larger ranges split in two at a multiple of eight.
// The error grows with log n, and the order does not depend on the machine's vector width.
#pragma once

#include "arithmetic.hpp"

namespace gpures::library {

template <class T>
struct Pairwise {
  // A complex number counts as two reals, so that both parts follow the same tree.
  static constexpr int kReals = kIsComplex<T> ? 2 : 1;
  static constexpr int kWidth = 8 / kReals;
  static constexpr i64 kLeaf = 128 / kReals;
  static constexpr int kDepth = 64;

  static GPURES_OP T minus_zero() {
    if constexpr (kIsComplex<T>) {
      return T{static_cast<Real<T>>(-0.0), static_cast<Real<T>>(-0.0)};
    } else {
      return static_cast<T>(-0.0);
    }
  }

  static GPURES_OP i64 left_half(i64 n) {
    if constexpr (kIsComplex<T>) return (n - n % 8) / 2;
    const i64 half = n / 2;
    return half - half % 8;
  }

  // `load(i)` gives term i. n < kWidth.
  template <class Load>
  static GPURES_OP T few(const Load& load, i64 first, i64 n) {
    T total = minus_zero();
    GPURES_UNROLL(1)
    for (i64 i = 0; i < n; ++i) total = add(total, load(first + i));
    return total;
  }

  // n <= kLeaf.
  template <class Load>
  static GPURES_OP T leaf(const Load& load, i64 first, i64 n) {
    if (n < kWidth) return few(load, first, n);
    T part[kWidth];
    for (int lane = 0; lane < kWidth; ++lane) part[lane] = load(first + lane);
    i64 i = kWidth;
    GPURES_UNROLL(1)
    for (; i + kWidth <= n; i += kWidth) {
      for (int lane = 0; lane < kWidth; ++lane) {
        part[lane] = add(part[lane], load(first + i + lane));
      }
    }
    for (int step = 1; step < kWidth; step *= 2) {
      for (int lane = 0; lane < kWidth; lane += 2 * step) {
        part[lane] = add(part[lane], part[lane + step]);
      }
    }
    T total = part[0];
    GPURES_UNROLL(1)
    for (; i < n; ++i) total = add(total, load(first + i));
    return total;
  }

  // The recursion as a loop, because a recursive function cannot be inlined into the entry point
  // of each instruction set.
  template <class Load>
  static GPURES_OP T sum(const Load& load, i64 n) {
    struct Split {
      i64 right;  // terms of the right half, 0 once it is under way
      T left;     // sum of the left half, then known
    };
    Split splits[kDepth];
    int depth = 0;
    i64 first = 0;
    for (i64 size = n;;) {
      while (size > kLeaf) {
        const i64 half = left_half(size);
        splits[depth++].right = size - half;
        size = half;
      }
      T value = leaf(load, first, size);
      first += size;
      while (depth > 0 && splits[depth - 1].right == 0) value = add(splits[--depth].left, value);
      if (depth == 0) return value;
      splits[depth - 1].left = value;
      size = splits[depth - 1].right;
      splits[depth - 1].right = 0;
    }
  }
};

}  // namespace gpures::library
