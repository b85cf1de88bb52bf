// Every shared library header, each functor instantiated once for the device.
#include "shared/library/arithmetic.hpp"
#include "shared/library/convert.hpp"
#include "shared/library/elementwise.hpp"
#include "shared/library/extremes.hpp"
#include "shared/library/pairwise.hpp"
#include "shared/library/reductions.hpp"

using namespace gpures;
using namespace gpures::library;

struct Moved {
  template <class To>
  static GPURES_OP To apply(To x) { return x; }
};

template <class T>
__device__ void maps(const Call& call) {
  Elementwise<BinaryIndex<Add, T, T, 0, 1, 2>>::run(call);
  Elementwise<BinaryIndex<Mul, T, T, 0, 1, 1>>::run(call);
}

template <class T>
__device__ void numbers(const Call& call) {
  maps<T>(call);
  Elementwise<BinaryIndex<Sub, T, T, 0, 0, 1>>::run(call);
  Elementwise<SaxpyIndex<T, 0, 1, 2>>::run(call);
  Extreme<Lowest, T, 0, 1>::run(call);
  Extreme<Highest, T, 0, 1>::run(call);
  ArgMin<T, 0, 1>::run(call);
}

template <class T>
__device__ void floats(const Call& call) {
  numbers<T>(call);
  FloatSum<T, 0, 1>::run(call);
  FloatDot<T, 0, 1, 2>::run(call);
}

template <class T>
__device__ void integers(const Call& call) {
  numbers<Wrapping<T>>(call);
  Elementwise<TernaryIndex<Fma, Wrapping<T>, 0, 1, 2, 3>>::run(call);
  Extreme<Lowest, T, 0, 1>::run(call);
  IntegerSum<T, 0, 1>::run(call);
  IntegerDot<Wrapping<T>, 0, 1, 2>::run(call);
}

template <class From, class... To>
__device__ void casts_to(const Call& call) {
  (Elementwise<UnaryIndex<Convert, From, To, 0, 1>>::run(call), ...);
}

template <class... From>
__device__ void casts(const Call& call) {
  (casts_to<From, Bool, i8, u8, i16, u16, i32, u32, i64, u64, float, double, c64, c128, Half>(call),
   ...);
}

extern "C" __global__ void probe(Call call, int which) {
  switch (which) {
    case 0: Elementwise<FillIndex<Bytes16, 0>>::run(call); break;
    case 1: Elementwise<UnaryIndex<Moved, u32, u32, 0, 1>>::run(call); break;
    case 2: maps<Bool>(call); break;
    case 3: integers<i8>(call); integers<u64>(call); break;
    case 4: floats<float>(call); floats<double>(call); break;
    case 5: floats<c64>(call); floats<c128>(call); break;
    case 6: casts<Bool, i8, u32, i64, u64, float, double, c64, c128, Half>(call); break;
    case 7: Elementwise<TernaryIndex<Fma, float, 0, 1, 2, 3>>::run(call); break;
  }
}
