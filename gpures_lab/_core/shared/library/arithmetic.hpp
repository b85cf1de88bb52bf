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

// Keeps a product rounded on its own. GCC 12 fuses alternating sums and differences of products
// (vfmaddsub) even where contraction is off; the empty instruction hides the product from it.
template <class R>
GPURES_OP R rounded(R product) {
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !GPURES_DEVICE_COMPILE
  __asm__("" : "+x"(product));
#endif
  return product;
}

// Smith's division, scaled by the divisor's larger part, as NumPy's: no overflow half-way.
template <class R>
GPURES_OP Complex<R> divide(Complex<R> x, Complex<R> y) {
  const R re = y.re < 0 ? -y.re : y.re;
  const R im = y.im < 0 ? -y.im : y.im;
  if (re >= im) {
    if (re == 0 && im == 0) return {x.re / re, x.im / re};
    const R ratio = y.im / y.re;
    const R scale = R{1} / (y.re + rounded(y.im * ratio));
    return {(x.re + rounded(x.im * ratio)) * scale, (x.im - rounded(x.re * ratio)) * scale};
  }
  const R ratio = y.re / y.im;
  const R scale = R{1} / (y.im + rounded(y.re * ratio));
  return {(rounded(x.re * ratio) + x.im) * scale, (rounded(x.im * ratio) - x.re) * scale};
}

// np.true_divide: integers give float64.
struct Div {
  template <class To, class T>
  static GPURES_OP To apply(T x, T y) {
    if constexpr (kIsComplex<T>) {
      return divide(x, y);
    } else {
      return static_cast<To>(x) / static_cast<To>(y);
    }
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
