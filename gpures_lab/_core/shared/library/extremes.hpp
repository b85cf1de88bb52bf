// Min, Max, ArgMin. Every real element maps to an integer key whose order is NumPy's: NaN wins,
// -0 is below +0. Integer minima vectorize on every instruction set and do not depend on the order
// of visits, so slices, vector widths and drivers agree.
#pragma once

#include "elementwise.hpp"

namespace gpures::library {

template <class T>
using KeyOf = Select<kIsReal<T>, SignedOf<sizeof(T)>, Select<kSameType<T, Bool>, u8, T>>;

template <class T>
inline constexpr T kLowestKey =
    kIsUnsigned<T> ? T{0} : static_cast<T>(UnsignedOf<sizeof(T)>{1} << (8 * sizeof(T) - 1));
template <class T>
inline constexpr T kHighestKey = static_cast<T>(~static_cast<UnsignedOf<sizeof(T)>>(kLowestKey<T>));

// A negative float's bits grow with its magnitude: turn all but the sign. Its own inverse.
template <class Key>
GPURES_OP Key turn(Key bits) {
  return static_cast<Key>(bits ^ ((bits >> (8 * sizeof(Key) - 1)) & kHighestKey<Key>));
}

struct Lowest {
  template <class Key>
  static GPURES_OP bool better(Key a, Key b) {
    return a < b;
  }
  template <class Key>
  static constexpr Key kNaN = kLowestKey<Key>;
  template <class Key>
  static constexpr Key kWorst = kHighestKey<Key>;
};

struct Highest {
  template <class Key>
  static GPURES_OP bool better(Key a, Key b) {
    return b < a;
  }
  template <class Key>
  static constexpr Key kNaN = kHighestKey<Key>;
  template <class Key>
  static constexpr Key kWorst = kLowestKey<Key>;
};

template <class Order, class T>
GPURES_OP KeyOf<T> to_key(T x) {
  if constexpr (kIsReal<T>) {
    // In integers and without a branch: GCC vectorizes no other form of this reduction.
    using Key = KeyOf<T>;
    constexpr Key infinity = static_cast<Key>(sizeof(T) == 4 ? 0x7f800000 : 0x7ff0000000000000);
    const Key bits = bits_as<Key>(x);
    const Key nan = (infinity - (bits & kHighestKey<Key>)) >> (8 * sizeof(Key) - 1);  // 0 or -1
    return (turn(bits) & ~nan) | (Order::template kNaN<Key> & nan);
  } else if constexpr (kSameType<T, Bool>) {
    return static_cast<u8>(x.byte != 0);
  } else {
    return x;
  }
}

// The NaN key turns back into a NaN.
template <class T>
GPURES_OP T from_key(KeyOf<T> key) {
  if constexpr (kIsReal<T>) {
    return bits_as<T>(turn(key));
  } else if constexpr (kSameType<T, Bool>) {
    return Bool{key};
  } else {
    return key;
  }
}

template <class Order, class T>
GPURES_OP KeyOf<T> best_key(const T* x, i64 begin, i64 end, KeyOf<T> best) {
  for (i64 i = begin; i < end; ++i) {
    const KeyOf<T> key = to_key<Order>(x[i]);
    best = Order::better(key, best) ? key : best;
  }
  return best;
}

// Complex numbers order by real part, then imaginary part; a NaN in either wins.
template <class Order, class R>
GPURES_OP bool better_complex(Complex<R> a, Complex<R> b) {
  if (b.re != b.re || b.im != b.im) return false;
  if (a.re != a.re || a.im != a.im) return true;
  return a.re == b.re ? Order::better(a.im, b.im) : Order::better(a.re, b.re);
}

// The minimum of nothing is reported as reading element 0 of 0.
GPURES_OP bool is_empty(const Call& call) {
  if (call.space[0] > 0) return false;
  report_fault(call.fault, 0, -1, 0, 0);
  return true;
}

template <class Order, class T, int X, int Z>
struct Extreme {
  static GPURES_OP void run(const Call& call) {
    if (is_empty(call)) return;
    const T* const x = array<T>(call, X);
    T* const z = array<T>(call, Z);
    if constexpr (kIsComplex<T>) {
      T best = call.begin == 0 ? x[0] : z[0];
      for (i64 i = call.begin; i < call.end; ++i) {
        if (better_complex<Order>(x[i], best)) best = x[i];
      }
      z[0] = best;
    } else {
      using Key = KeyOf<T>;
      const Key start = call.begin == 0 ? Order::template kWorst<Key> : to_key<Order>(z[0]);
      z[0] = from_key<T>(best_key<Order>(x, call.begin, call.end, start));
    }
  }
};

// The first index of the minimum; -0 and +0 are equal here, which adding +0 sees to.
template <class T, int X, int Z>
struct ArgMin {
  static constexpr i64 kBlock = 512;

  static GPURES_OP T without_minus_zero(T x) {
    if constexpr (kIsReal<T>) return x + T{0};
    return x;
  }

  static GPURES_OP void run(const Call& call) {
    if (is_empty(call)) return;
    const T* const x = array<T>(call, X);
    i64* const z = array<i64>(call, Z);
    i64 at = call.begin == 0 ? 0 : z[0];
    if constexpr (kIsComplex<T>) {
      for (i64 i = call.begin; i < call.end; ++i) {
        if (better_complex<Lowest>(x[i], x[at])) at = i;
      }
    } else {
      // A block's minimum vectorizes; only a block that improves is searched for its place.
      using Key = KeyOf<T>;
      Key best = to_key<Lowest>(without_minus_zero(x[at]));
      for (i64 first = call.begin; first < call.end; first += kBlock) {
        const i64 last = call.end - first < kBlock ? call.end : first + kBlock;
        Key low = best;
        for (i64 i = first; i < last; ++i) {
          const Key key = to_key<Lowest>(without_minus_zero(x[i]));
          low = key < low ? key : low;
        }
        if (!(low < best)) continue;
        best = low;
        for (at = first; to_key<Lowest>(without_minus_zero(x[at])) != low;) ++at;
      }
    }
    z[0] = at;
  }
};

}  // namespace gpures::library
