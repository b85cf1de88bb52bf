// Add, Sub, Mul, Fma, Saxpy on one element: NumPy's results, bit for bit.
#pragma once

#include "element.hpp"

namespace gpures::library {

#if GPURES_DEVICE_COMPILE
GPURES_OP float fused(float x, float y, float w) { return __fmaf_rn(x, y, w); }
GPURES_OP double fused(double x, double y, double w) { return __fma_rn(x, y, w); }
#else
GPURES_OP float fused(float x, float y, float w) { return __builtin_fmaf(x, y, w); }
GPURES_OP double fused(double x, double y, double w) { return __builtin_fma(x, y, w); }
#endif

// uint8 and uint16 would be promoted to int, whose product can overflow: go through uint32.
template <class T>
GPURES_OP T multiply(T x, T y) {
  if constexpr (kSameType<T, Bool>) {
    return Bool{static_cast<u8>((x.byte != 0) & (y.byte != 0))};
  } else if constexpr (kIsInteger<T> && sizeof(T) < 4) {
    return static_cast<T>(static_cast<u32>(x) * static_cast<u32>(y));
  } else if constexpr (kIsComplex<T>) {
    // NumPy's vector loops fuse the second product of each part, on every CPU that can; so does
    // this, always, so that the result does not depend on the machine.
    return T{fused(x.re, y.re, -(x.im * y.im)), fused(x.re, y.im, x.im * y.re)};
  } else {
    return static_cast<T>(x * y);
  }
}

template <class T>
GPURES_OP T add(T x, T y) {
  if constexpr (kSameType<T, Bool>) {
    return Bool{static_cast<u8>((x.byte | y.byte) != 0)};
  } else if constexpr (kIsComplex<T>) {
    return T{x.re + y.re, x.im + y.im};
  } else {
    return static_cast<T>(x + y);
  }
}

struct Add {
  template <class T>
  static GPURES_OP T apply(T x, T y) {
    return add(x, y);
  }
};

struct Sub {
  template <class T>
  static GPURES_OP T apply(T x, T y) {
    if constexpr (kIsComplex<T>) {
      return T{x.re - y.re, x.im - y.im};
    } else {
      return static_cast<T>(x - y);
    }
  }
};

struct Mul {
  template <class T>
  static GPURES_OP T apply(T x, T y) {
    return multiply(x, y);
  }
};

// One rounding for floats; integers wrap, as x * y + w does.
struct Fma {
  template <class T>
  static GPURES_OP T apply(T x, T y, T w) {
    if constexpr (kIsReal<T>) {
      return fused(x, y, w);
    } else {
      return add(multiply(x, y), w);
    }
  }
};

}  // namespace gpures::library
