// The dtypes an allocation can have: code, size and NumPy name, written once for both drivers.
// The codes cross the ring and are stored in checkpoints: append, never renumber.
#pragma once

#include "base.hpp"

namespace gpures {

enum class DType : u8 {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat32,
  kFloat64,
  kComplex64,
  kComplex128,
  kFloat16,  // held, moved and cast, not computed with
};

inline constexpr int kDTypeCount = 14;

struct DTypeInfo {
  const char* name;  // numpy.dtype.name
  u8 itemsize;       // bytes
};

inline constexpr DTypeInfo kDTypes[kDTypeCount] = {
    {"bool", 1},    {"int8", 1},      {"int16", 2},       {"int32", 4},   {"int64", 8},
    {"uint8", 1},   {"uint16", 2},    {"uint32", 4},      {"uint64", 8},  {"float32", 4},
    {"float64", 8}, {"complex64", 8}, {"complex128", 16}, {"float16", 2},
};

GPURES_HD constexpr u8 itemsize(DType dtype) {
  constexpr u8 sizes[kDTypeCount] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 8, 16, 2};
  return sizes[static_cast<u8>(dtype)];
}

}  // namespace gpures
