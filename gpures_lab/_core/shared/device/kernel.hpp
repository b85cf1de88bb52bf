// A kernel on a device, twice: a function that the ring's dispatch calls with its block, and an
// entry point of its own for the wide path. Generated files (gpures_lab/kernels/cuda) use it.
#pragma once

#include "../kernel_abi.hpp"
#include "../words.hpp"
#include "../wide_plan.hpp"
#include "block.hpp"

namespace gpures {

// The wide path's launch parameter: the words of `Arguments` one after the other, then the range,
// what a kernel in passes has (wide_plan.hpp), where it says that it has begun and what, and the
// address of the fault words. Filled by the host, which knows the counts as well.
template <int Arrays, int ShapeWords, int ParamWords>
struct WideCall {
  u64 data[Arrays];
  i64 sizes[Arrays];
  i64 shapes[ShapeWords];
  u64 params[ParamWords > 0 ? ParamWords : 1];
  i64 space[kMaxIndices];
  i64 begin, end;
  u8* memory;
  u64* begun;  // the host's memory
  u64 mark;
  i64 pass;
  i64* fault;
};

// The words behind `call`, which lies in the constant bank: nothing is copied.
template <class Wide>
GPURES_HD Arguments arguments_of(const Wide& call) {
  return {reinterpret_cast<void**>(const_cast<u64*>(call.data)),
          const_cast<i64*>(call.sizes),
          const_cast<i64*>(call.shapes),
          const_cast<u64*>(call.params),
          const_cast<i64*>(call.space),
          call.fault};
}

// By one thread of the launch. One that waits for a busy device has not begun, and is no stall. A
// plain store, for nothing comes with it: an asm with its clobber took registers from the kernel.
template <class Wide>
GPURES_HD void tell_begun(const Wide& call) {
  DeviceWords::put(*call.begun, call.mark + u64(call.pass));
}

}  // namespace gpures

// `Kernel::run(block, arguments, begin, end)` as the function `symbol` and the entry point
// `wide_##symbol`. A kernel that runs in one block finds its scratch area behind the launch.
#define GPURES_DEVICE_KERNEL(symbol, Kernel, arrays, shape_words, param_words)           \
  extern "C" __device__ void symbol(gpures::Arguments arguments, gpures::i64 begin,      \
                                    gpures::i64 end, gpures::DeviceBlock block) {        \
    Kernel::run(block, arguments, begin, end);                                           \
  }                                                                                      \
  extern "C" __global__ void __launch_bounds__(256, 2) wide_##symbol(                    \
      const __grid_constant__ gpures::WideCall<arrays, shape_words, param_words> call) { \
    extern __shared__ __align__(16) gpures::u8 scratch[];                                \
    const gpures::u32 thread = blockIdx.x * blockDim.x + threadIdx.x;                    \
    if (thread == 0) gpures::tell_begun(call);                                           \
    Kernel::run(gpures::DeviceBlock(thread, gridDim.x * blockDim.x, scratch),            \
                gpures::arguments_of(call), call.begin, call.end);                       \
  }

// The same for `Kernel::run_pass(block, pass, arguments, begin, end)`: every block has a scratch
// area, and a launch is one pass.
#define GPURES_DEVICE_KERNEL_IN_PASSES(symbol, Kernel, arrays, shape_words, param_words) \
  extern "C" __device__ void symbol(gpures::Arguments arguments, gpures::i64 begin,      \
                                    gpures::i64 end, gpures::DeviceBlock block) {        \
    Kernel::run(block, arguments, begin, end);                                           \
  }                                                                                      \
  extern "C" __global__ void __launch_bounds__(256, 2) wide_##symbol(                    \
      const __grid_constant__ gpures::WideCall<arrays, shape_words, param_words> call) { \
    extern __shared__ __align__(16) gpures::u8 scratch[];                                \
    if (blockIdx.x == 0 && threadIdx.x == 0) gpures::tell_begun(call);                   \
    const gpures::Pass pass{blockIdx.x, gridDim.x, call.pass, call.memory};              \
    Kernel::run_pass(gpures::DeviceBlock(threadIdx.x, blockDim.x, scratch), pass,        \
                     gpures::arguments_of(call), call.begin, call.end);                  \
  }
