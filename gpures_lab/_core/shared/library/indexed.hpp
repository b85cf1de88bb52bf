// Gather and Scatter by int64 indices. An index outside the array is skipped (a skipped read gives
// 0) and the first one is reported; negative indices are outside.
#pragma once

#include "elementwise.hpp"

namespace gpures::library {

// z[i] = x[index[i]]
template <class Value, int X, int Index, int Z>
struct Gather {
  static GPURES_OP void run(const Call& call) {
    const Value* const x = array<Value>(call, X);
    const i64* const index = array<i64>(call, Index);
    Value* const z = array<Value>(call, Z);
    const u64 extent = static_cast<u64>(call.sizes[X]);
    for (i64 i = call.begin; i < call.end; ++i) {
      const i64 at = index[i];
      if (static_cast<u64>(at) < extent) {
        z[i] = x[at];
      } else {
        z[i] = Value{};
        report_fault(call.fault, X, -1, at, call.sizes[X]);
      }
    }
  }
};

// z[index[i]] = x[i], in order: of equal indices the last one stays.
template <class Value, int X, int Index, int Z>
struct Scatter {
  static GPURES_OP void run(const Call& call) {
    const Value* const x = array<Value>(call, X);
    const i64* const index = array<i64>(call, Index);
    Value* const z = array<Value>(call, Z);
    const u64 extent = static_cast<u64>(call.sizes[Z]);
    for (i64 i = call.begin; i < call.end; ++i) {
      const i64 at = index[i];
      if (static_cast<u64>(at) < extent) {
        z[at] = x[i];
      } else {
        report_fault(call.fault, Z, -1, at, call.sizes[Z]);
      }
    }
  }
};

}  // namespace gpures::library
