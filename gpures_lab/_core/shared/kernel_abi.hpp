// What Compute calls: one C signature for every kernel on the host driver, whoever compiled it
// (the native library, Numba, the C++ front end). On a device the same arguments come in one
// struct, `Arguments`, and every thread of the block makes the call (device/kernel.hpp).
//
// A kernel covers the half-open range [begin, end) of the *first* index of its space and the whole
// range of the others; the serve loop calls it in slices so that `stop` is noticed and `beat` moves
// [R6]. A reduction keeps its accumulator in its output between slices and starts when begin == 0.
#pragma once

#include "base.hpp"

namespace gpures {

inline constexpr int kMaxIndices = 3;  // i, j, k
inline constexpr int kMaxArrays = 64;  // distinct arrays of one compiled kernel
inline constexpr int kMaxParamWords = 64;
inline constexpr int kFaultWords = 8;
// What a device's dispatch returns for an id that its image does not hold, in place of a signal.
inline constexpr int kNotInImage = -1;

// `data`, `sizes`: one entry an array, in the compiled order (equal handles appear once).
// `shapes`: the arrays' shapes one after the other, C order, ndim entries each (ndim is compiled
// in;
//           a 0-d or 1-d array has one entry, its size).
// `params`: 8-byte words in declared order. Python float: the double's bits. Python int, bool:
//           int64. Python complex: two doubles (two words). NumPy scalar: its own bytes, low
//           address first, padded with zeros to a whole number of words (complex128: two).
// `space`:  extent of each index, `space[0]` the first's.
// `fault`:  kFaultWords words, zero on entry; a checked kernel that skips an access writes, for the
//           first one only: [0] = 1, [1] = array (compiled order), [2] = axis (-1: flat subscript),
//           [3] = the index used, [4] = the extent it had to be below. A library kernel whose arrays
//           do not fit each other writes nothing and says [0] = 2, [3] = the extent it needs.
extern "C" typedef void (*gpures_kernel)(void* const* data, const i64* sizes, const i64* shapes,
                                         const u64* params, const i64* space, i64 begin, i64 end,
                                         i64* fault);

// The same, together: in a CallFrame, bound in a program, or in a plain launch's parameters.
struct Arguments {
  void** data;
  i64* sizes;
  i64* shapes;
  u64* params;
  i64* space;
  i64* fault;
};

}  // namespace gpures
