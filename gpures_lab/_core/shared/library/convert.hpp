// One element to another dtype, as `astype(casting="unsafe")` does on x86-64. What C leaves
// undefined, a float outside the integer's range, is spelled out here, so both drivers and every
// vector width agree: the conversion goes through int32 or int64, whose overflow and NaN give the
// most negative value, and is then cut to size. (NumPy's own float -> uint32 overflow depends on
// the element's position in the array; this is its scalar loop.)
#pragma once

#include "half.hpp"

namespace gpures::library {

template <class Signed, class R>
GPURES_OP Signed truncate(R x) {
  constexpr Signed kLowest =
      static_cast<Signed>(UnsignedOf<sizeof(Signed)>{1} << (8 * sizeof(Signed) - 1));
  constexpr R kLow = static_cast<R>(kLowest);
  const bool fits = x < -kLow && (sizeof(R) == 8 && sizeof(Signed) == 4 ? x > kLow - 1 : x >= kLow);
  return fits ? static_cast<Signed>(x) : kLowest;
}

template <class To, class R>
GPURES_OP To real_to_integer(R x) {
  if constexpr (kSameType<To, u64>) {
    constexpr R kHalfRange = static_cast<R>(9223372036854775808.0);
    const bool upper = x >= kHalfRange;
    const u64 low = static_cast<u64>(truncate<i64>(upper ? x - kHalfRange : x));
    return upper ? low ^ (u64{1} << 63) : low;
  } else if constexpr (sizeof(To) == 8 || kSameType<To, u32>) {
    return static_cast<To>(truncate<i64>(x));
  } else {
    return static_cast<To>(truncate<i32>(x));
  }
}

template <class To, class From>
GPURES_OP To convert(From x) {
  if constexpr (kSameType<To, From>) {
    return x;
  } else if constexpr (kIsComplex<From> && kIsComplex<To>) {
    return To{static_cast<Real<To>>(x.re), static_cast<Real<To>>(x.im)};
  } else if constexpr (kIsComplex<From> && kSameType<To, Bool>) {
    return Bool{static_cast<u8>((x.re != 0) | (x.im != 0))};
  } else if constexpr (kIsComplex<From>) {
    return convert<To>(x.re);
  } else if constexpr (kSameType<From, Bool>) {
    return convert<To>(static_cast<u8>(x.byte != 0));
  } else if constexpr (kSameType<From, Half>) {
    return convert<To>(half_to_float(x));
  } else if constexpr (kIsComplex<To>) {
    return To{convert<Real<To>>(x), Real<To>{0}};
  } else if constexpr (kSameType<To, Bool>) {
    return Bool{static_cast<u8>(x != 0)};
  } else if constexpr (kSameType<To, Half> && kIsReal<From>) {
    return real_to_half(x);
  } else if constexpr (kSameType<To, Half>) {
    return real_to_half(static_cast<float>(x));
  } else if constexpr (kIsReal<From> && kIsInteger<To>) {
    return real_to_integer<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

struct Convert {
  template <class To, class From>
  static GPURES_OP To apply(From x) {
    return convert<To>(x);
  }
};

}  // namespace gpures::library
