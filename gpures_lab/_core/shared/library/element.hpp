// Element types of the library: what C++ lacks (bool as NumPy stores it, complex, half), and the
// traits that pick a carrier, so that int32 and uint32 share one machine code where bits agree.
#pragma once

#include "../dtype.hpp"
#include "call.hpp"

namespace gpures::library {

// One byte; anything but 0 is true, whatever wrote it.
struct Bool {
  u8 byte;
  GPURES_OP operator bool() const { return byte != 0; }
};

struct Half {
  u16 bits;
};

template <class R>
struct Complex {
  R re, im;
};

using i8 = signed char;
using i16 = short;
using c64 = Complex<float>;
using c128 = Complex<double>;

template <DType D>
struct ElementOf;
template <>
struct ElementOf<DType::kBool> {
  using type = Bool;
};
template <>
struct ElementOf<DType::kInt8> {
  using type = i8;
};
template <>
struct ElementOf<DType::kInt16> {
  using type = i16;
};
template <>
struct ElementOf<DType::kInt32> {
  using type = i32;
};
template <>
struct ElementOf<DType::kInt64> {
  using type = i64;
};
template <>
struct ElementOf<DType::kUInt8> {
  using type = u8;
};
template <>
struct ElementOf<DType::kUInt16> {
  using type = u16;
};
template <>
struct ElementOf<DType::kUInt32> {
  using type = u32;
};
template <>
struct ElementOf<DType::kUInt64> {
  using type = u64;
};
template <>
struct ElementOf<DType::kFloat32> {
  using type = float;
};
template <>
struct ElementOf<DType::kFloat64> {
  using type = double;
};
template <>
struct ElementOf<DType::kComplex64> {
  using type = c64;
};
template <>
struct ElementOf<DType::kComplex128> {
  using type = c128;
};
template <>
struct ElementOf<DType::kFloat16> {
  using type = Half;
};

template <DType D>
using Element = typename ElementOf<D>::type;

template <class A, class B>
inline constexpr bool kSameType = false;
template <class A>
inline constexpr bool kSameType<A, A> = true;

template <bool Condition, class A, class B>
struct SelectType {
  using type = A;
};
template <class A, class B>
struct SelectType<false, A, B> {
  using type = B;
};
template <bool Condition, class A, class B>
using Select = typename SelectType<Condition, A, B>::type;

template <class T>
inline constexpr bool kIsReal = kSameType<T, float> || kSameType<T, double>;
template <class T>
inline constexpr bool kIsComplex = kSameType<T, c64> || kSameType<T, c128>;
template <class T>
inline constexpr bool kIsSigned =
    kSameType<T, i8> || kSameType<T, i16> || kSameType<T, i32> || kSameType<T, i64>;
template <class T>
inline constexpr bool kIsUnsigned =
    kSameType<T, u8> || kSameType<T, u16> || kSameType<T, u32> || kSameType<T, u64>;
template <class T>
inline constexpr bool kIsInteger = kIsSigned<T> || kIsUnsigned<T>;

template <int Bytes>
using UnsignedOf = Select<Bytes == 1, u8, Select<Bytes == 2, u16, Select<Bytes == 4, u32, u64>>>;
template <int Bytes>
using SignedOf = Select<Bytes == 1, i8, Select<Bytes == 2, i16, Select<Bytes == 4, i32, i64>>>;

// Integers wrap, which in C++ only unsigned ones do.
template <class T>
using Wrapping = Select<kIsInteger<T>, UnsignedOf<sizeof(T)>, T>;

// Moved, not computed with: only the size counts.
struct Bytes16 {
  u64 low, high;
};
template <class T>
using Storage = Select<sizeof(T) == 16, Bytes16, UnsignedOf<sizeof(T)>>;

template <class To, class From>
GPURES_OP constexpr To bits_as(From from) {
  return __builtin_bit_cast(To, from);
}

// The real part's type; the type itself where it is not complex.
template <class T>
struct RealOf {
  using type = T;
};
template <class R>
struct RealOf<Complex<R>> {
  using type = R;
};
template <class T>
using Real = typename RealOf<T>::type;

}  // namespace gpures::library
