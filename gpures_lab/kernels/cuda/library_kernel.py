"""A row of the native library for devices: its own C++ type, run by a block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpures_lab.kernels.catalogue import LibraryRow
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.ltoir_cache import cached, device_key
from gpures_lab.kernels.cuda.toolchain import compile_ltoir
from gpures_lab.kernels.identity import digest

__all__ = ["compile_library"]

# No thread of these waits for another (OnBlock::kAnyBlocks; the generated file asserts it).
_ANY_BLOCKS = frozenset({"kernels/Gather", "kernels/Gemm", "kernels/Stencil"})


def compile_library(row: LibraryRow, native: Mapping[str, Any]) -> DeviceKernel:
    """Compile, or find, a row; ``native`` is what the native table says of it."""
    cpp_type, plan = native["type"], native["plan"]
    arrays = sum(p == first for p, first in enumerate(row.same))
    shape_words = sum(max(row.ndims[p], 1) for p, first in enumerate(row.same) if p == first)
    param_words = sum(2 if dtype == "complex128" else 1 for dtype in row.param_dtypes)
    any_blocks = row.is_map or row.name in _ANY_BLOCKS
    in_passes = "_IN_PASSES" if plan else ""
    counts = f"{arrays}, {shape_words}, {param_words}"
    symbol = f"gpures_{row.name.rpartition('/')[2]}_{digest(cpp_type)[:16]}"
    text = (
        '#include "library/block/device.hpp"\n'
        "namespace gpures::library {\n"
        f"using Kernel = OnDevice<{cpp_type}, {str(any_blocks).lower()}>;\n"
        f"GPURES_DEVICE_KERNEL{in_passes}({symbol}, Kernel, {counts})\n"
        "}\n"
    )
    artifact, _ = cached(
        device_key("library", text), ".ltoir", lambda: (compile_ltoir(text, row.name), {})
    )
    return DeviceKernel(
        name=row.name,
        symbol=symbol,
        parts=((symbol, artifact.payload),),
        arrays=arrays,
        shape_words=shape_words,
        param_words=param_words,
        any_blocks=any_blocks,
        user=False,
        plan=plan,
    )
