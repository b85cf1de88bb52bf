// Inclusive sum, in order, as np.cumsum: a slice continues from the element before it.
#pragma once

#include "reductions.hpp"

namespace gpures::library {

template <class T, int X, int Z>
struct Scan {
  static GPURES_OP void run(const Call& call) {
    using Out = Wrapping<SumOf<T>>;
    const T* const x = array<T>(call, X);
    Out* const z = array<Out>(call, Z);
    i64 i = call.begin;
    if (i >= call.end) return;
    // Starts with the element itself, not 0 plus it: a leading -0 stays, as in NumPy.
    Out total = i == 0 ? convert<Out>(x[0]) : add(z[i - 1], convert<Out>(x[i]));
    z[i] = total;
    for (++i; i < call.end; ++i) {
      total = add(total, convert<Out>(x[i]));
      z[i] = total;
    }
  }
};

}  // namespace gpures::library
