// One input, one output: z = f(x). Exact ones equal NumPy bit for bit, the others within 2 ulp.
#pragma once

#include "elementwise.hpp"
#include "math.hpp"

namespace gpures::library {

struct Neg {
  template <class T>
  static GPURES_OP T apply(T x) {
    if constexpr (kIsInteger<T>) {
      return static_cast<T>(0 - x);
    } else {
      return -x;
    }
  }
};

// The lowest integer stays itself, as in NumPy; a complex number gives its modulus.
struct Abs {
  template <class To, class T>
  static GPURES_OP To apply(T x) {
    if constexpr (kIsComplex<T>) {
      return hypotenuse(x.re, x.im);
    } else if constexpr (kIsReal<T>) {
      return magnitude(x);
    } else if constexpr (kIsSigned<T>) {
      using U = UnsignedOf<sizeof(T)>;
      const U bits = static_cast<U>(x);
      return static_cast<T>(x < 0 ? static_cast<U>(0 - bits) : bits);
    } else {
      return x;
    }
  }
};

// np.maximum(x, 0): NaN stays.
struct Relu {
  template <class T>
  static GPURES_OP T apply(T x) {
    return x <= 0 ? T{0} : x;
  }
};

struct Sqrt {
  template <class T>
  static GPURES_OP T apply(T x) { return square_root(x); }
};

struct Exp {
  template <class T>
  static GPURES_OP T apply(T x) { return exponential(x); }
};

struct Log {
  template <class T>
  static GPURES_OP T apply(T x) { return logarithm(x); }
};

struct Sin {
  template <class T>
  static GPURES_OP T apply(T x) { return sine(x); }
};

struct Cos {
  template <class T>
  static GPURES_OP T apply(T x) { return cosine(x); }
};

struct Tanh {
  template <class T>
  static GPURES_OP T apply(T x) { return hyperbolic_tangent(x); }
};

struct Sigmoid {
  template <class T>
  static GPURES_OP T apply(T x) { return logistic(x); }
};

}  // namespace gpures::library
