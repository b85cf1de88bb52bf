// What a user's C++ body finds on a device in place of the standard headers, which NVRTC lacks:
// the fixed-width integers, min and max, and the classes that arrays come as.
#pragma once

#include "../library/block/grid.hpp"
#include "../library/call.hpp"

using int8_t = signed char;
using int16_t = short;
using int32_t = int;
using int64_t = long long;  // as CCCL's headers have it
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
using ptrdiff_t = long;
static_assert(sizeof(int64_t) == 8);

namespace std {

template <class T>
GPURES_HD const T& max(const T& a, const T& b) {
  return a < b ? b : a;
}
template <class T>
GPURES_HD const T& min(const T& a, const T& b) {
  return b < a ? b : a;
}
template <class T>
GPURES_HD void swap(T& a, T& b) {
  const T held = a;
  a = b;
  b = held;
}

#define GPURES_STD_MATH(name)                            \
  GPURES_HD float name(float x) { return ::name##f(x); } \
  GPURES_HD double name(double x) { return ::name(x); }
GPURES_STD_MATH(acos)
GPURES_STD_MATH(acosh)
GPURES_STD_MATH(asin)
GPURES_STD_MATH(asinh)
GPURES_STD_MATH(atan)
GPURES_STD_MATH(atanh)
GPURES_STD_MATH(cbrt)
GPURES_STD_MATH(ceil)
GPURES_STD_MATH(cos)
GPURES_STD_MATH(cosh)
GPURES_STD_MATH(erf)
GPURES_STD_MATH(erfc)
GPURES_STD_MATH(exp)
GPURES_STD_MATH(exp2)
GPURES_STD_MATH(expm1)
GPURES_STD_MATH(fabs)
GPURES_STD_MATH(floor)
GPURES_STD_MATH(lgamma)
GPURES_STD_MATH(log)
GPURES_STD_MATH(log10)
GPURES_STD_MATH(log1p)
GPURES_STD_MATH(log2)
GPURES_STD_MATH(rint)
GPURES_STD_MATH(round)
GPURES_STD_MATH(sin)
GPURES_STD_MATH(sinh)
GPURES_STD_MATH(sqrt)
GPURES_STD_MATH(tan)
GPURES_STD_MATH(tanh)
GPURES_STD_MATH(tgamma)
GPURES_STD_MATH(trunc)
#undef GPURES_STD_MATH

#define GPURES_STD_MATH2(name)                                       \
  GPURES_HD float name(float x, float y) { return ::name##f(x, y); } \
  GPURES_HD double name(double x, double y) { return ::name(x, y); }
GPURES_STD_MATH2(atan2)
GPURES_STD_MATH2(copysign)
GPURES_STD_MATH2(fmax)
GPURES_STD_MATH2(fmin)
GPURES_STD_MATH2(fmod)
GPURES_STD_MATH2(hypot)
GPURES_STD_MATH2(pow)
#undef GPURES_STD_MATH2

GPURES_HD float abs(float x) { return ::fabsf(x); }
GPURES_HD double abs(double x) { return ::fabs(x); }
GPURES_HD int abs(int x) { return x < 0 ? -x : x; }
GPURES_HD long abs(long x) { return x < 0 ? -x : x; }
GPURES_HD long long abs(long long x) { return x < 0 ? -x : x; }
GPURES_HD float fma(float x, float y, float z) { return ::fmaf(x, y, z); }
GPURES_HD double fma(double x, double y, double z) { return ::fma(x, y, z); }
GPURES_HD bool isnan(float x) { return x != x; }
GPURES_HD bool isnan(double x) { return x != x; }

}  // namespace std

// Types of a subscript; a float is none.
template <class T>
inline constexpr bool kGpuresSubscript = false;
#define GPURES_SUBSCRIPT(type) \
  template <>                  \
  inline constexpr bool kGpuresSubscript<type> = true;
GPURES_SUBSCRIPT(bool)
GPURES_SUBSCRIPT(char)
GPURES_SUBSCRIPT(signed char)
GPURES_SUBSCRIPT(unsigned char)
GPURES_SUBSCRIPT(short)
GPURES_SUBSCRIPT(unsigned short)
GPURES_SUBSCRIPT(int)
GPURES_SUBSCRIPT(unsigned)
GPURES_SUBSCRIPT(long)
GPURES_SUBSCRIPT(unsigned long)
GPURES_SUBSCRIPT(long long)
GPURES_SUBSCRIPT(unsigned long long)
#undef GPURES_SUBSCRIPT

template <class T>
struct GpuresPlain {
  using type = T;
};
template <class T>
struct GpuresPlain<const T> {
  using type = T;
};

// An array in a checked body. The element outside is a fresh zero each time: a read gives 0, a
// write is dropped.
template <class T>
class View {
 public:
  GPURES_HD View(T* data, int64_t size, const int64_t* shape, int64_t array, int64_t* fault)
      : data_(data), size_(size), shape_(shape), array_(array), fault_(fault) {}
  template <class I>
  GPURES_HD T& operator[](I index) const {
    static_assert(kGpuresSubscript<I>, "a subscript is an integer");
    const int64_t at = static_cast<int64_t>(index);
    if (static_cast<uint64_t>(at) < static_cast<uint64_t>(size_)) return data_[at];
    gpures::library::report_fault(reinterpret_cast<gpures::i64*>(fault_), array_, -1, at, size_);
    spare_ = Plain();
    return spare_;
  }
  GPURES_HD int64_t size() const { return size_; }
  GPURES_HD int64_t shape(int64_t axis) const { return shape_[axis]; }

 private:
  using Plain = typename GpuresPlain<T>::type;
  T* data_;
  int64_t size_;
  const int64_t* shape_;
  int64_t array_;
  int64_t* fault_;
  mutable Plain spare_{};
};

// An array in a map: whatever the subscript, it is this index.
template <class T>
class Here {
 public:
  GPURES_HD explicit Here(void* element) : element_(static_cast<T*>(element)) {}
  template <class I>
  GPURES_HD T& operator[](I) const {
    return *element_;
  }

 private:
  T* element_;
};

template <class From, class To>
GPURES_HD To gpures_param(const uint64_t* words) {
  From value;
  memcpy(&value, words, sizeof(From));
  return static_cast<To>(value);
}
