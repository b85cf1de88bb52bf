"""The switch from kernel ids to functions, written for each image."""

from __future__ import annotations

from collections.abc import Mapping

from gpures_lab.kernels.cuda.device_kernel import DeviceKernel

__all__ = ["dispatch_source"]

_HEAD = """\
#include "device/block.hpp"
#include "kernel_abi.hpp"
using namespace gpures;
"""

# Not inlined: Compute and RunProgram share one copy of every kernel, and a kernel that needs many
# registers takes none from the serve loop.
_SWITCH = """\
extern "C" __device__ __noinline__ int gpures_dispatch(u32 kernel, Arguments arguments, i64 begin,
                                                       i64 end, DeviceBlock block) {{
  switch (kernel) {{
{cases}    default: return kNotInImage;
  }}
}}
"""


def dispatch_source(kernels: Mapping[int, DeviceKernel]) -> str:
    """CUDA C++ of ``gpures_dispatch`` over the given ids."""
    symbols = sorted({kernel.symbol for kernel in kernels.values()})
    declared = "".join(
        f'extern "C" __device__ void {symbol}(Arguments, i64, i64, DeviceBlock);\n'
        for symbol in symbols
    )
    cases = "".join(
        f"    case {number}: {kernels[number].symbol}(arguments, begin, end, block); return 0;\n"
        for number in sorted(kernels)
    )
    return _HEAD + declared + _SWITCH.format(cases=cases)
