// float32 exp, log, tanh, sigmoid, computed in float64 and rounded once: within 0.51 ulp of exact.
// Only adds, multiplies, divides and integer bits, no branches: GCC vectorizes the loops around
// them, and a device that does not contract gives the same bits.
#pragma once

#include "element.hpp"

namespace gpures::library {

// exp(x) in double, relative error below 1e-12, for |x| <= 700; NaN stays.
GPURES_OP double exp_double(double x) {
  // Adding 1.5 * 2^52 leaves the nearest integer in the low bits of the sum.
  constexpr double kMagic = 6755399441055744.0;
  const double shifted = x * 1.4426950408889634 + kMagic;
  const double whole = shifted - kMagic;
  const double r = (x - whole * 0.69314718036912382) - whole * 1.9082149292705877e-10;
  double p = 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const u64 power = (bits_as<u64>(shifted) + 1023) << 52;
  return p * bits_as<double>(power);
}

// log(x) in double for a finite x > 0, relative error below 1e-12.
GPURES_OP double log_double(double x) {
  // Take the mantissa from [sqrt(1/2), sqrt(2)), so that log(1 + tiny) does not cancel.
  const u64 bits = bits_as<u64>(x);
  constexpr u64 kRootHalf = 0x3fe6a09e667f3bcdULL;
  const u64 above = bits - kRootHalf;
  const double mantissa = bits_as<double>((above & 0xfffffffffffffULL) + kRootHalf);
  // The exponent as a double, without a 64-bit integer conversion, which AVX2 lacks.
  const u64 biased = ((above >> 52) + 2048) & 0xfffULL;
  const double exponent = bits_as<double>(0x4330000000000000ULL | biased) - (4503599627370496.0 + 2048);
  const double s = (mantissa - 1) / (mantissa + 1);
  const double s2 = s * s;
  double p = 1.0 / 19;
  p = p * s2 + 1.0 / 17;
  p = p * s2 + 1.0 / 15;
  p = p * s2 + 1.0 / 13;
  p = p * s2 + 1.0 / 11;
  p = p * s2 + 1.0 / 9;
  p = p * s2 + 1.0 / 7;
  p = p * s2 + 1.0 / 5;
  p = p * s2 + 1.0 / 3;
  p = p * s2 + 1.0;
  return exponent * 0.69314718055994531 + 2 * s * p;
}

// NaN passes: every comparison with it is false.
GPURES_OP double clamped(double x, double low, double high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

GPURES_OP float exponential(float x) {
  return static_cast<float>(exp_double(clamped(x, -110, 100)));
}

GPURES_OP float logarithm(float x) {
  constexpr float kInfinity = bits_as<float>(0x7f800000u);
  constexpr float kNaN = bits_as<float>(0x7fc00000u);
  const float inside = static_cast<float>(log_double(x));
  float result = x > 0 ? inside : kNaN;
  result = x == 0 ? -kInfinity : result;
  return x == kInfinity ? kInfinity : result;
}

GPURES_OP float hyperbolic_tangent(float x) {
  const double wide = clamped(x, -20, 20);
  const double square = wide * wide;
  const double e = exp_double(2 * wide);
  // Near 0 the quotient cancels: three terms of the series are exact enough below 0.02.
  const double series = wide * (1 + square * (-1.0 / 3 + square * (2.0 / 15)));
  return static_cast<float>(square < 0.0004 ? series : (e - 1) / (e + 1));
}

GPURES_OP float logistic(float x) {
  return static_cast<float>(1 / (1 + exp_double(clamped(-static_cast<double>(x), -110, 110))));
}

}  // namespace gpures::library
