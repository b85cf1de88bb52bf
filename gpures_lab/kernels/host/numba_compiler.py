"""Object code from an emitted text. The only module that imports Numba."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import binding as llvm
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock

from gpures_lab.kernels.host.conversion import conversions
from gpures_lab.kernels.host.emit import Emitted
from gpures_lab.kernels.host.machine import operations
from gpures_lab.kernels.host.memory import arguments, array_access
from gpures_lab.kernels.host.objects import ObjectCode
from gpures_lab.kernels.signature import ArraySpec

__all__ = ["compile_object", "integer_power"]

_SIGNATURE = types.void(*(types.voidptr,) * 5, types.int64, types.int64, types.voidptr)
# numpy: a division by zero gives inf, nan or 0 and never leaves the loop.
_OPTIONS = {"nopython": True, "error_model": "numpy", "fastmath": False}
_shared: dict[str, Any] = {}


def integer_power(base: Any, exponent: Any) -> Any:
    """By squaring, wrapping; a negative exponent truncates to 0, or to 1 and -1 as it should."""
    if exponent < 0:
        if base == 1:
            return base
        if base == -1:
            return base if exponent & 1 else -base
        return base - base
    result = base - base + 1
    while exponent > 0:
        if exponent & 1:
            result = result * base
        exponent = exponent >> 1
        base = base * base
    return result


def _shared_names() -> dict[str, Any]:
    if not _shared:
        _shared.update(operations())
        _shared.update(conversions())
        _shared.update(arguments())
        _shared["power"] = numba.njit(error_model="numpy")(integer_power)
        _shared.update(np=np, math=math)
    return _shared


@global_compiler_lock  # type: ignore[untyped-decorator]
def compile_object(emitted: Emitted, arrays: tuple[ArraySpec, ...]) -> ObjectCode:
    """Compile to relocatable object code for this machine's processor."""
    namespace: dict[str, Any] = {**_shared_names(), **emitted.constants}
    for slot, spec in enumerate(arrays):
        namespace.update(array_access(slot, spec.dtype, len(arrays)))
    exec(compile(emitted.text, "<gpures_lab kernel>", "exec"), namespace)  # noqa: S102 - our text
    for name in emitted.functions:
        namespace[name] = numba.njit(error_model="numpy", forceinline=True)(namespace[name])
    callback: Any = CFunc(
        namespace["kernel"], (_SIGNATURE.args, _SIGNATURE.return_type), {}, dict(_OPTIONS)
    )
    # Numba has no public way to an object file; these three are what its own cache uses.
    result = callback._compile_uncached()
    library = result.library
    library.enable_object_caching()
    symbol = result.fndesc.llvm_cfunc_wrapper_name
    library.get_pointer_to_function(symbol)
    imports = tuple(
        sorted(
            function.name
            for function in library._final_module.functions
            if function.is_declaration
            and not function.name.startswith("llvm.")
            and llvm.address_of_symbol(function.name)
        )
    )
    return ObjectCode(symbol, library._get_compiled_object(), imports)
