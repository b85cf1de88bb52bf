// What a device moves with one instruction.
#pragma once

#include "base.hpp"

namespace gpures {

#if GPURES_DEVICE_COMPILE
using Vector16 = uint4;
using Vector8 = uint2;

GPURES_HD Vector16 make_vector16(u64 low, u64 high) {
  return {u32(low), u32(low >> 32), u32(high), u32(high >> 32)};
}
#else
struct alignas(16) Vector16 {
  u64 low, high;
};
using Vector8 = u64;

GPURES_HD Vector16 make_vector16(u64 low, u64 high) { return {low, high}; }
#endif

}  // namespace gpures
