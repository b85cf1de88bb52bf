// Index functors of elementwise kernels: `functor(i)` computes element i of the output. The same
// functor is the body of the host's vectorized loop and of a thread of the ring kernel's block.
// X, Y, W, Z are places in the compiled order, so equal handles are one pointer.
#pragma once

#include "arithmetic.hpp"

namespace gpures::library {

template <class T>
GPURES_OP T* array(const Call& call, int place) {
  return static_cast<T*>(call.data[place]);
}

template <class Value, int Z>
struct FillIndex {
  Value* z;
  Value value;
  GPURES_OP explicit FillIndex(const Call& call)
      : z(array<Value>(call, Z)), value(load_param<Value>(call.params, 0)) {}
  GPURES_OP void operator()(i64 i) const { z[i] = value; }
};

template <class Op, class In, class Out, int X, int Z>
struct UnaryIndex {
  const In* x;
  Out* z;
  GPURES_OP explicit UnaryIndex(const Call& call) : x(array<In>(call, X)), z(array<Out>(call, Z)) {}
  GPURES_OP void operator()(i64 i) const { z[i] = Op::template apply<Out>(x[i]); }
};

template <class Op, class In, class Out, int X, int Y, int Z>
struct BinaryIndex {
  const In *x, *y;
  Out* z;
  GPURES_OP explicit BinaryIndex(const Call& call)
      : x(array<In>(call, X)), y(array<In>(call, Y)), z(array<Out>(call, Z)) {}
  GPURES_OP void operator()(i64 i) const { z[i] = Op::template apply<Out>(x[i], y[i]); }
};

template <class Op, class T, int X, int Y, int W, int Z>
struct TernaryIndex {
  const T *x, *y, *w;
  T* z;
  GPURES_OP explicit TernaryIndex(const Call& call)
      : x(array<T>(call, X)), y(array<T>(call, Y)), w(array<T>(call, W)), z(array<T>(call, Z)) {}
  GPURES_OP void operator()(i64 i) const { z[i] = Op::template apply<T>(x[i], y[i], w[i]); }
};

// z = a * x + y, two roundings as in NumPy.
template <class T, int X, int Y, int Z>
struct SaxpyIndex {
  const T *x, *y;
  T* z;
  T a;
  GPURES_OP explicit SaxpyIndex(const Call& call)
      : x(array<T>(call, X)),
        y(array<T>(call, Y)),
        z(array<T>(call, Z)),
        a(load_param<T>(call.params, 0)) {}
  GPURES_OP void operator()(i64 i) const { z[i] = add(multiply(a, x[i]), y[i]); }
};

struct Same {
  template <class To>
  static GPURES_OP To apply(To x) {
    return x;
  }
};

// A kernel that visits the slice's indices in any order. `Lanes`: a complex array as twice as many
// reals, where the operation treats both parts alike.
template <class Index, int Lanes = 1>
struct Elementwise {
  static GPURES_OP void run(const Call& call) {
    for_each_index(Index(call), call.begin * Lanes, call.end * Lanes);
  }
};

}  // namespace gpures::library
