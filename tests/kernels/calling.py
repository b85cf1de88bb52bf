"""Calls compiled kernels as the host driver does: by the C signature, with nothing in between."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpures_lab.kernels import (
    ArraySpec,
    HostCode,
    Kernel,
    ParamSpec,
    Signature,
    bind,
    compile_host,
)

_POINTER = ctypes.c_void_p
_ENTRY = ctypes.CFUNCTYPE(
    None, *[_POINTER] * 5, ctypes.c_longlong, ctypes.c_longlong, _POINTER
)


def param_spec(name: str, value: Any) -> ParamSpec:
    """The kind of a scalar argument."""
    if isinstance(value, np.generic):
        return ParamSpec(name, value.dtype.name)
    return ParamSpec(name, type(value).__name__)


def param_words(value: Any) -> bytes:
    """A scalar argument's words."""
    if isinstance(value, np.generic):
        data = value.tobytes()
    elif isinstance(value, complex):
        data = np.complex128(value).tobytes()
    elif isinstance(value, float):
        data = np.float64(value).tobytes()
    else:
        data = np.int64(value).tobytes()
    return data + bytes(-len(data) % 8)


def signature_of(
    kernel: Kernel,
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    params: Mapping[str, Any],
    checked: bool | None = None,
) -> Signature:
    """Arrays that are the same object are the same handle."""
    arrays = [*inputs, *outputs]
    names = bind(kernel, len(inputs), len(outputs), params).params
    values = {**kernel.defaults, **params}
    return Signature(
        arrays=tuple(ArraySpec(array.dtype.name, array.ndim) for array in arrays),
        same=tuple(next(q for q, b in enumerate(arrays) if b is a) for a in arrays),
        inputs=len(inputs),
        params=tuple(param_spec(name, values[name]) for name in names),
        checked=kernel.checked if checked is None else checked,
    )


def call(
    kernel: Kernel,
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    params: Mapping[str, Any] | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    slices: Sequence[tuple[int, int]] | None = None,
    checked: bool | None = None,
) -> list[int]:
    """Compile and run; returns the fault words."""
    params = dict(params or {})
    signature = signature_of(kernel, inputs, outputs, params, checked)
    code = compile_host(kernel, signature)
    if shape is None:
        if code.is_reduction:
            shape = (inputs[0].size,)
        else:
            shape = (outputs[0].size,) if code.indices == 1 else outputs[0].shape
    values = {**kernel.defaults, **params}
    words = [param_words(values[each.name]) for each in signature.params]
    return run(code, [*inputs, *outputs], words, shape, slices)


def run(
    code: HostCode,
    arrays: Sequence[np.ndarray],
    words: Sequence[bytes],
    shape: tuple[int, ...],
    slices: Sequence[tuple[int, int]] | None = None,
) -> list[int]:
    """Call machine code once for each slice of the first index."""
    passed = [arrays[position] for position in code.arrays]
    assert all(array.flags.c_contiguous for array in passed)
    data = (ctypes.c_void_p * len(passed))(*[array.ctypes.data for array in passed])
    sizes = np.array([array.size for array in passed], np.int64)
    shapes = np.array(
        [extent for a in passed for extent in (a.shape if a.ndim > 1 else (a.size,))], np.int64
    )
    params = np.frombuffer(b"".join(words) or bytes(8), np.uint64)
    space = np.array(shape, np.int64)
    fault = np.zeros(8, np.int64)
    entry = _ENTRY(code.address)
    for begin, end in slices if slices is not None else [(0, shape[0])]:
        entry(
            ctypes.addressof(data),
            sizes.ctypes.data,
            shapes.ctypes.data,
            params.ctypes.data,
            space.ctypes.data,
            begin,
            end,
            fault.ctypes.data,
        )
    return [int(word) for word in fault]
