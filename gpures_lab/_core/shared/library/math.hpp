// Mathematical functions under one name for both precisions, host and device. float32 exp, log,
// tanh and sigmoid are ours (single.hpp): vectorized, and the same bits on both drivers; the rest
// is the C library's.
#pragma once

#include "single.hpp"

namespace gpures::library {

#if GPURES_DEVICE_COMPILE
#define GPURES_MATH(name, function)                          \
  GPURES_OP float name(float x) { return ::function##f(x); } \
  GPURES_OP double name(double x) { return ::function(x); }
#else
#define GPURES_MATH(name, function)                                    \
  GPURES_OP float name(float x) { return __builtin_##function##f(x); } \
  GPURES_OP double name(double x) { return __builtin_##function(x); }
#endif

GPURES_MATH(magnitude, fabs)
GPURES_MATH(square_root, sqrt)
GPURES_MATH(sine, sin)
GPURES_MATH(cosine, cos)

#undef GPURES_MATH

#if GPURES_DEVICE_COMPILE
GPURES_OP double exponential(double x) { return ::exp(x); }
GPURES_OP double logarithm(double x) { return ::log(x); }
GPURES_OP double hyperbolic_tangent(double x) { return ::tanh(x); }
#else
GPURES_OP double exponential(double x) { return __builtin_exp(x); }
GPURES_OP double logarithm(double x) { return __builtin_log(x); }
GPURES_OP double hyperbolic_tangent(double x) { return __builtin_tanh(x); }
#endif

// In double precision nothing overflows and only the result is rounded: the C library's bits, where
// a device's own function is off by up to three in the last place. An infinite side beats a NaN.
GPURES_OP float hypotenuse_in_double(float x, float y) {
  constexpr float kInfinity = bits_as<float>(0x7f800000u);
  const double a = x, b = y;
  const float root = static_cast<float>(square_root(a * a + b * b));
  return magnitude(x) == kInfinity || magnitude(y) == kInfinity ? kInfinity : root;
}
#if GPURES_DEVICE_COMPILE
GPURES_OP float hypotenuse(float x, float y) { return hypotenuse_in_double(x, y); }
GPURES_OP double hypotenuse(double x, double y) { return ::hypot(x, y); }
#else
GPURES_OP float hypotenuse(float x, float y) { return __builtin_hypotf(x, y); }
GPURES_OP double hypotenuse(double x, double y) { return __builtin_hypot(x, y); }
#endif

// 1 / (1 + exp(-x)) without overflow: the exponential of a negative number only.
GPURES_OP double logistic(double x) {
  const double e = exponential(-magnitude(x));
  return (x < 0 ? e : 1.0) / (1.0 + e);
}

}  // namespace gpures::library
