// Floor of a program: one compiled kernel called again and again by a bare loop, no protocol.
#include "shared/kernel_abi.hpp"

extern "C" __attribute__((visibility("default"))) void bare_loop(
    gpures::gpures_kernel kernel, void* const* data, const gpures::i64* sizes,
    const gpures::i64* shapes, const gpures::u64* params, const gpures::i64* space,
    gpures::i64* fault, gpures::u64 steps) {
  for (gpures::u64 step = 0; step < steps; ++step) {
    kernel(data, sizes, shapes, params, space, 0, space[0], fault);
  }
}
