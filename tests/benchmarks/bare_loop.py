"""The floor of programs: the machine code that a program calls, called by a bare C loop."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import gpures_lab as gl
from gpures_lab.kernels import compile_host
from tests.benchmarks.build import native
from tests.kernels.calling import param_words, signature_of

__all__ = ["bare_loop"]


def bare_loop(
    kernel: gl.Kernel,
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    params: Mapping[str, Any],
    steps: int,
) -> Callable[[], None]:
    """Return a call that runs ``steps`` steps over these arrays.

    The kernel is compiled for the same signature as grain.compute() compiles it for, so this is
    the very code that the worker calls (the compile cache hands it out).
    """
    signature = signature_of(kernel, inputs, outputs, params)
    code = compile_host(kernel, signature)
    passed = [[*inputs, *outputs][position] for position in code.arrays]
    data = (ctypes.c_void_p * len(passed))(*[array.ctypes.data for array in passed])
    sizes = np.array([array.size for array in passed], np.int64)
    shapes = np.array(
        [extent for a in passed for extent in (a.shape if a.ndim > 1 else (a.size,))], np.int64
    )
    words = np.frombuffer(
        b"".join(param_words(params[each.name]) for each in signature.params) or bytes(8), np.uint64
    )
    space = np.array((outputs[0].size,) if code.indices == 1 else outputs[0].shape, np.int64)
    fault = np.zeros(8, np.int64)
    entry = ctypes.CDLL(str(native("libbare_loop.so"))).bare_loop
    entry.argtypes = [ctypes.c_void_p] * 7 + [ctypes.c_uint64]
    entry.restype = None
    pointers = [each.ctypes.data for each in (sizes, shapes, words, space, fault)]

    def loop() -> None:
        entry(code.address, ctypes.addressof(data), *pointers, steps)
        assert not fault.any()

    # The call keeps what the addresses point to.
    loop.kept = (code, passed, data, sizes, shapes, words, space, fault)  # type: ignore[attr-defined]
    return loop
