// What every library kernel is built from: the inlining macro and one call's arguments.
#pragma once

#include "../base.hpp"

// The host builds each kernel for several instruction sets from one body; a body that is not
// inlined into its entry point would stay at the baseline set. That goes for lambdas too.
#if GPURES_DEVICE_COMPILE
#define GPURES_OP GPURES_HD
#define GPURES_LAMBDA
#define GPURES_PRAGMA(text) _Pragma(#text)
#define GPURES_UNROLL(times) GPURES_PRAGMA(unroll times)
#else
#define GPURES_OP inline __attribute__((always_inline))
#define GPURES_LAMBDA __attribute__((always_inline))
#define GPURES_UNROLL(times)
#endif

namespace gpures::library {

// The arguments of gpures_kernel (kernel_abi.hpp), together.
struct Call {
  void* const* data;
  const i64* sizes;
  const i64* shapes;
  const u64* params;
  const i64* space;
  i64 begin, end;
  i64* fault;
};

// The parameter that starts at `word`, packed as a NumPy scalar: its own bytes, low address first.
template <class T>
GPURES_OP T load_param(const u64* params, int word) {
  T value;
#if GPURES_DEVICE_COMPILE
  memcpy(&value, params + word, sizeof(T));
#else
  __builtin_memcpy(&value, params + word, sizeof(T));
#endif
  return value;
}

// Whether this thread is the first to report: the words after fault[0] have one writer.
GPURES_OP bool claim_fault(i64* fault) {
#if GPURES_DEVICE_COMPILE
  return fault[0] == 0 && atomicCAS(reinterpret_cast<u64*>(fault), u64{0}, u64{1}) == 0;
#else
  if (fault[0] != 0) return false;
  fault[0] = 1;
  return true;
#endif
}

// Reports the first access that was skipped (of several threads, any one's); later ones leave it
// as it is.
GPURES_OP void report_fault(i64* fault, i64 array, i64 axis, i64 index, i64 extent) {
  if (!claim_fault(fault)) return;
  fault[1] = array;
  fault[2] = axis;
  fault[3] = index;
  fault[4] = extent;
}

// Whether `extent`, what the array has along `axis`, is what the others ask for. If not, the kernel
// writes nothing: the fault says 2, and the wanted extent in place of an index.
GPURES_OP bool has_extent(const Call& call, i64 array, i64 axis, i64 extent, i64 needed) {
  if (extent == needed) return true;
  if (!claim_fault(call.fault)) return false;
  call.fault[0] = 2;
  call.fault[1] = array;
  call.fault[2] = axis;
  call.fault[3] = needed;
  call.fault[4] = extent;
  return false;
}

// Visits [begin, end), each index independent of the others. The pragmas say so: without them
// the vectorizer guards every loop with an overlap test. Distinct arrays never overlap, and equal
// handles are one pointer.
template <class Index>
GPURES_OP void for_each_index(const Index& index, i64 begin, i64 end) {
#if defined(__clang__) && !GPURES_DEVICE_COMPILE
#pragma clang loop vectorize(assume_safety) interleave(enable)
#elif defined(__GNUC__) && !GPURES_DEVICE_COMPILE
#pragma GCC ivdep
#endif
  for (i64 i = begin; i < end; ++i) index(i);
}

}  // namespace gpures::library
