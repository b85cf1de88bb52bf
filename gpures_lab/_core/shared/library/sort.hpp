// Ascending order, NaN last, -0 before +0: the integer keys of extremes.hpp, sorted in the output's
// own memory by one thread.
#pragma once

#include "extremes.hpp"
#ifndef __CUDACC__
#include "radix.hpp"
#endif

namespace gpures::library {

// Restores the heap below `at`, whose value may be too small for its place.
template <class Key>
GPURES_OP void sift_down(Key* keys, i64 at, i64 size) {
  const Key value = keys[at];
  for (i64 child = 2 * at + 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && keys[child] < keys[child + 1]) ++child;
    if (!(value < keys[child])) break;
    keys[at] = keys[child];
    at = child;
  }
  keys[at] = value;
}

// On the device the twin of OnBlock<Sort>, which is what a block runs: no stack, no recursion.
template <class Key>
GPURES_OP void heap_sort(Key* keys, i64 n) {
  for (i64 i = n / 2; i-- > 0;) sift_down(keys, i, n);
  for (i64 last = n; last-- > 1;) {
    const Key highest = keys[0];
    keys[0] = keys[last];
    keys[last] = highest;
    sift_down(keys, 0, last);
  }
}

template <class T, int X, int Z>
struct Sort {
  static GPURES_OP void run(const Call& call) {
    using Key = KeyOf<T>;
    const T* const x = array<T>(call, X);
    Key* const keys = array<Key>(call, Z);
    const i64 n = call.end;
    // Highest: a NaN's key is above every number's.
    for_each_index([=](i64 i) GPURES_LAMBDA { keys[i] = to_key<Highest>(x[i]); }, 0, n);
#ifdef __CUDACC__
    heap_sort(keys, n);
#else
    Radix<Key>::sort(keys, n);
#endif
    T* const z = array<T>(call, Z);
    for_each_index([=](i64 i) GPURES_LAMBDA { z[i] = from_key<T>(keys[i]); }, 0, n);
  }
};

}  // namespace gpures::library
