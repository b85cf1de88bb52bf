// Integer aliases and the host/device macro: the only header every other one includes.
// NVRTC has no standard headers, so nothing here may include one on the device.
#pragma once

#if defined(__CUDACC_RTC__) || defined(__CUDA_ARCH__)
#define GPURES_DEVICE_COMPILE 1
#define GPURES_HD __device__ __forceinline__
#define GPURES_APART __device__ __noinline__
#else
#define GPURES_DEVICE_COMPILE 0
#define GPURES_HD inline
#define GPURES_APART inline
#endif

namespace gpures {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i32 = int;
using i64 = long long;

static_assert(sizeof(u16) == 2 && sizeof(u32) == 4 && sizeof(u64) == 8);

}  // namespace gpures
