"""LTO-IR from an emitted text. With the host's, the only modules that import Numba."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda as numba_cuda
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from gpures_lab.kernels.cuda.numerics import complex_functions, device_function, real_functions
from gpures_lab.kernels.cuda.toolchain import BASE_ARCH
from gpures_lab.kernels.host.conversion import conversions
from gpures_lab.kernels.host.emit import Emitted
from gpures_lab.kernels.host.machine import operations
from gpures_lab.kernels.host.memory import arguments, array_access
from gpures_lab.kernels.host.numba_compiler import integer_power
from gpures_lab.kernels.signature import ArraySpec

__all__ = ["compile_python"]

_shared: dict[str, Any] = {}
cuda: Any = numba_cuda  # its stubs describe the simulator


def _shared_names() -> dict[str, Any]:
    if not _shared:
        _shared.update(operations())
        _shared.update(conversions())
        _shared.update(arguments())
        _shared["power"] = device_function(cuda, integer_power)
        _shared.update(np=real_functions(cuda), complex_np=complex_functions(cuda), math=math)
    return _shared


@global_compiler_lock  # type: ignore[untyped-decorator]
def compile_python(emitted: Emitted, arrays: tuple[ArraySpec, ...], symbol: str) -> bytes:
    """Compile to LTO-IR; parameters are pointers (``p0``, ``data``, ...) and int64."""
    namespace: dict[str, Any] = {**_shared_names(), **emitted.constants}
    for slot, spec in enumerate(arrays):
        namespace.update(array_access(slot, spec.dtype, len(arrays)))
    exec(compile(emitted.text, "<gpures_lab kernel>", "exec"), namespace)  # noqa: S102 - our text
    for name in emitted.functions:
        namespace[name] = device_function(cuda, namespace[name], forceinline=True)
    function = namespace["kernel"]
    code, _ = cuda.compile(
        function,
        types.void(*(_type(name) for name in function.__code__.co_varnames[: _arity(function)])),
        device=True,
        abi="c",
        abi_info={"abi_name": symbol},
        cc=(BASE_ARCH // 10, BASE_ARCH % 10),
        output="ltoir",
        forceinline=True,
    )
    return bytes(code)


def _arity(function: Any) -> int:
    return int(function.__code__.co_argcount)


def _type(name: str) -> Any:
    number = name in ("begin", "end", "thread", "threads", "count", "i0")
    return types.int64 if number else types.voidptr
