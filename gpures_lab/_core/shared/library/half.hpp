// float16 to and from float32 and float64: round to nearest even, NaN payloads kept, branch-free.
#pragma once

#include "element.hpp"

namespace gpures::library {

GPURES_OP float half_to_float(Half half) {
  const u32 sign = static_cast<u32>(half.bits & 0x8000u) << 16;
  const u32 magnitude = static_cast<u32>(half.bits & 0x7fffu) << 13;
  // 2^112 moves the exponent's bias from 15 to 127, and makes subnormals normal.
  const float scaled = bits_as<float>(magnitude) * bits_as<float>(0x77800000u);
  const u32 special = magnitude | 0x7f800000u;
  const u32 bits = (half.bits & 0x7fffu) >= 0x7c00u ? special : bits_as<u32>(scaled);
  return bits_as<float>(bits | sign);
}

// From float32 or float64 directly: by way of float32 a float64 would be rounded twice.
template <class R>
GPURES_OP Half real_to_half(R value) {
  using Bits = UnsignedOf<sizeof(R)>;
  constexpr int kMantissa = sizeof(R) == 4 ? 23 : 52;
  constexpr int kBias = sizeof(R) == 4 ? 127 : 1023;
  constexpr int kDrop = kMantissa - 10;
  constexpr Bits kInfinity = static_cast<Bits>(2 * kBias + 1) << kMantissa;
  constexpr Bits kOverflow = static_cast<Bits>(kBias + 16) << kMantissa;  // 65536
  constexpr Bits kNormal = static_cast<Bits>(kBias - 14) << kMantissa;    // 2^-14
  // Added to a subnormal result, it brings the last kept bit to the mantissa's last place, so the
  // adder rounds.
  constexpr Bits kAlign = static_cast<Bits>(kBias - 14 + kDrop) << kMantissa;
  const Bits all = bits_as<Bits>(value);
  const Bits sign = (all >> (8 * sizeof(R) - 16)) & 0x8000u;
  const Bits magnitude = all & (~Bits{0} >> 1);

  const Bits odd = (magnitude >> kDrop) & 1;
  const Bits rounded = magnitude + ((Bits{1} << (kDrop - 1)) - 1) + odd;
  const Bits normal = (rounded - (static_cast<Bits>(kBias - 15) << kMantissa)) >> kDrop;
  const Bits subnormal = bits_as<Bits>(bits_as<R>(magnitude) + bits_as<R>(kAlign)) - kAlign;
  const Bits payload = (magnitude >> kDrop) & 0x3ffu;
  const Bits nan = 0x7c00u | payload | (payload == 0 ? 1 : 0);

  Bits bits = magnitude >= kNormal ? normal : subnormal;
  bits = magnitude >= kOverflow ? 0x7c00u : bits;
  bits = magnitude > kInfinity ? nan : bits;
  return Half{static_cast<u16>(bits | sign)};
}

}  // namespace gpures::library
