"""Python kernels for devices: typed body → Numba LTO-IR, and its C++ wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab.errors import CompileError, GpuResError
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.emit import (
    emit_loop,
    emit_map,
    is_packable,
    written_first,
    written_slots,
)
from gpures_lab.kernels.cuda.ltoir_cache import cached, device_key
from gpures_lab.kernels.cuda.symbols import symbol_of, word_counts
from gpures_lab.kernels.cuda.toolchain import compile_ltoir
from gpures_lab.kernels.cuda.wrapper import loop_wrapper, map_wrapper
from gpures_lab.kernels.host.emit import Emitted
from gpures_lab.kernels.signature import Signature
from gpures_lab.kernels.typed.kernel import TypedKernel, type_kernel

if TYPE_CHECKING:
    from gpures_lab.kernels.definition import Kernel

__all__ = ["compile_python_kernel"]


def compile_python_kernel(
    kernel: Kernel, names: tuple[str, ...], signature: Signature
) -> DeviceKernel:
    """Compile, or find; ``names`` are the parameters in binding order.

    Raises
    ------
    CompileError
        The body has no meaning for these dtypes, or none on this target.
    """
    symbol = symbol_of(kernel, signature)
    key = device_key("python", kernel.identity, repr(signature))
    counts = word_counts(signature)

    def build_body() -> tuple[bytes, dict[str, Any]]:
        typed = type_kernel(kernel, names, signature)
        packed = is_packable(typed)
        meta: dict[str, Any] = {
            "wrapper": _wrapper(typed, symbol, counts),
            "loop": packed and typed.indices > 1,
        }
        emitted = emit_map(typed) if packed else emit_loop(typed)
        return _compile(kernel, typed, emitted, f"{symbol}_body"), meta

    def build_loop() -> tuple[bytes, dict[str, Any]]:
        typed = type_kernel(kernel, names, signature)
        return _compile(kernel, typed, emit_loop(typed), f"{symbol}_loop"), {}

    body, _ = cached(key, ".ltoir", build_body)
    parts = [(f"{symbol}_body", body.payload)]
    if body.meta["loop"]:
        loop, _ = cached(device_key("python loop", key), ".ltoir", build_loop)
        parts.append((f"{symbol}_loop", loop.payload))
    text = str(body.meta["wrapper"])
    around, _ = cached(
        device_key("wrapper", text), ".ltoir", lambda: (compile_ltoir(text, kernel.name), {})
    )
    return DeviceKernel(
        name=kernel.name,
        symbol=symbol,
        parts=(*parts, (symbol, around.payload)),
        arrays=counts[0],
        shape_words=counts[1],
        param_words=counts[2],
        any_blocks=kernel.kind != "reduction",
        user=True,
    )


def _compile(kernel: Kernel, typed: TypedKernel, emitted: Emitted, symbol: str) -> bytes:
    from gpures_lab.kernels.cuda.numba_compiler import compile_python  # imports Numba

    try:
        code: bytes = compile_python(emitted, typed.arrays, symbol)
    except GpuResError:
        raise
    except Exception as reason:
        raise CompileError(
            f"kernel {kernel.name}: Numba refused, for CUDA, the code made of its body: {reason}",
            kernel=kernel.name,
            emitted=emitted.text,
        ) from reason
    return code


def _wrapper(typed: TypedKernel, symbol: str, counts: tuple[int, int, int]) -> str:
    body = f"{symbol}_body"
    if not is_packable(typed):
        return loop_wrapper(symbol, body, counts, one_thread=typed.init is not None)
    itemsizes = tuple(np.dtype(spec.dtype).itemsize for spec in typed.arrays)
    loaded = frozenset(range(len(itemsizes))) - written_first(typed)
    stored = written_slots(typed)
    return map_wrapper(
        symbol,
        body,
        counts,
        itemsizes,
        loaded=loaded,
        stored=stored,
        indices=typed.indices,
        loop=f"{symbol}_loop",
    )
