"""The text that Numba's CUDA target gets, run on the host thread by thread: the host's results.

Catches, without a GPU, an index that no thread or two threads visit, a check that is lost, an
element that a map's wrapper does not load or store.
"""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
import pytest
from numba import types
from numba.core.ccallback import CFunc

from gpures_lab.kernels import Kernel, bind, kernel, reduction
from gpures_lab.kernels.cuda.emit import (
    emit_loop,
    emit_map,
    is_packable,
    written_first,
    written_slots,
)
from gpures_lab.kernels.host import numba_compiler
from gpures_lab.kernels.host.emit import Emitted
from gpures_lab.kernels.host.memory import array_access
from gpures_lab.kernels.typed.kernel import TypedKernel, type_kernel
from tests.kernels.calling import call, param_words, signature_of

NUMBERS = ("begin", "end", "thread", "threads", "count", "i0")


def compiled(emitted: Emitted, typed: TypedKernel) -> tuple[Callable[..., None], Any]:
    """The text as a C function of pointers and int64, and what keeps it alive."""
    namespace = {**numba_compiler._shared_names(), **emitted.constants}
    for slot, spec in enumerate(typed.arrays):
        namespace.update(array_access(slot, spec.dtype, len(typed.arrays)))
    exec(compile(emitted.text, "<device>", "exec"), namespace)  # noqa: S102 - our text
    for name in emitted.functions:
        namespace[name] = numba.njit(error_model="numpy")(namespace[name])
    function = namespace["kernel"]
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    arguments = tuple(types.int64 if name in NUMBERS else types.voidptr for name in names)
    made = CFunc(function, (arguments, types.void), {}, dict(numba_compiler._OPTIONS))
    made.compile()
    c_types = [ctypes.c_int64 if name in NUMBERS else ctypes.c_void_p for name in names]
    return ctypes.CFUNCTYPE(None, *c_types)(made.address), made


def typed_kernel(made: Kernel, inputs: Sequence, outputs: Sequence, params: dict) -> TypedKernel:
    signature = signature_of(made, inputs, outputs, params)
    names = bind(made, len(inputs), len(outputs), params).arrays
    return type_kernel(made, names, signature)


def run_loop(
    typed: TypedKernel, arrays: list, words: list[bytes], shape: tuple, threads: int
) -> list[int]:
    """As a block does: two slices, every thread in turn."""
    run, _owner = compiled(emit_loop(typed), typed)
    passed = [arrays[position] for position in typed.positions]
    data = (ctypes.c_void_p * len(passed))(*[array.ctypes.data for array in passed])
    sizes = np.array([array.size for array in passed])
    extents = [n for a in passed for n in (a.shape if a.ndim > 1 else (a.size,))]
    shapes, space, fault = np.array(extents), np.array(shape), np.zeros(8, np.int64)
    params = np.frombuffer(b"".join(words) or bytes(8), np.uint64)
    middle = shape[0] // 3
    for begin, end in ((0, middle), (middle, shape[0])):
        for thread in range(threads):
            places = [each.ctypes.data for each in (sizes, shapes, params, space)]
            run(ctypes.addressof(data), *places, begin, end, thread, threads, fault.ctypes.data)
    return [int(word) for word in fault]


def run_map(typed: TypedKernel, arrays: list, words: list[bytes], count: int) -> None:
    """As the wrapper does: elements are loaded only if they are said to be needed."""
    run, _owner = compiled(emit_map(typed), typed)
    passed = [arrays[position] for position in typed.positions]
    params = np.frombuffer(b"".join(words) or bytes(8), np.uint64)
    unloaded, stored = written_first(typed), written_slots(typed)
    for i in range(count):
        elements = [array[i : i + 1].copy() for array in passed]
        for slot in unloaded:
            elements[slot].view(np.uint8)[:] = 0xA5
        run(params.ctypes.data, i, count, *[element.ctypes.data for element in elements])
        for slot in stored:
            passed[slot][i] = elements[slot][0]


def agree(
    made: Kernel,
    inputs: list,
    outputs: list,
    params: dict[str, Any] | None = None,
    shape: tuple[int, ...] | None = None,
) -> list[int]:
    """The host's results by the device's text, for blocks of several sizes."""
    params = params or {}
    expected = [array.copy() for array in outputs]
    same = [next((k for k, o in enumerate(outputs) if o is x), None) for x in inputs]
    fault = call(
        made,
        [x if k is None else expected[k] for x, k in zip(inputs, same, strict=True)],
        expected,
        params,
        shape=shape,
    )
    typed = typed_kernel(made, inputs, outputs, params)
    if shape is None:
        shape = (inputs if made.kind == "reduction" else outputs)[0].shape
        shape = (math.prod(shape),) if made.indices == 1 else shape
    words = [
        param_words(params[name]) for name in bind(made, len(inputs), len(outputs), params).params
    ]
    found: list[int] = []
    for threads in (1,) if made.kind == "reduction" else (1, 7, 256):
        mine = [array.copy() for array in outputs]
        arrays = [x if k is None else mine[k] for x, k in zip(inputs, same, strict=True)]
        found = run_loop(typed, [*arrays, *mine], words, shape, threads)
        assert bool(found[0]) == bool(fault[0])
        for a, b in zip(mine, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    if is_packable(typed):
        mine = [array.copy() for array in outputs]
        arrays = [x if k is None else mine[k] for x, k in zip(inputs, same, strict=True)]
        flat = [array.reshape(-1) for array in (*arrays, *mine)]
        run_map(typed, flat, words, math.prod(shape))
        for a, b in zip(mine, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    return found


def ramp(*shape: int) -> Any:
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape) % 11 - 5


@kernel
def saxpy(i, x, y, z, a):
    z[i] = a * x[i] + y[i]


@kernel
def some_of_them(i, x, z):
    if x[i] > 0:
        z[i] = x[i] * 2


@kernel
def early(i, x, z):
    if x[i] < 0:
        return
    z[i] = 1


@kernel
def twice(i, z):
    z[i] = z[i] * 2
    z[i] += 1


@kernel
def first_then_read(i, x, z):
    z[i] = x[i]
    z[i] = z[i] * z[i]


def clip(v, low, high):
    if v < low:
        return low
    for _ in range(2):
        if v > high:
            return high
    return v


@kernel
def clipped(i, x, z):
    z[i] = clip(x[i], -2, 2)


@pytest.mark.parametrize("made", [some_of_them, early, first_then_read, clipped])
def test_a_map_of_one_array(made: Kernel) -> None:
    """Catches an element that is stored unloaded where the body may leave it alone."""
    agree(made, [ramp(37)], [ramp(37) + 100])


def test_a_map_with_a_param_and_in_place() -> None:
    """Catches a param read from the wrong word, and equal handles as two elements."""
    agree(saxpy, [ramp(50), ramp(50)], [ramp(50)], {"a": 0.5})
    z = ramp(50)
    agree(saxpy, [z, ramp(50)], [z], {"a": np.float32(3)})
    agree(twice, [], [ramp(9)])


@kernel
def stencil(i, x, z):
    z[i] = x[i - 1] + x[i + 1]


def test_a_checked_stencil_reports_its_edges() -> None:
    """Catches an unchecked access in the device's loop."""
    fault = agree(stencil, [ramp(40)], [ramp(40)])
    assert fault[:3] == [1, 0, -1]
    assert fault[3] in (-1, 40)


@kernel
def heat(i, j, u, v):
    if 0 < i < u.shape[0] - 1 and 0 < j < u.shape[1] - 1:
        v[i, j] = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
    else:
        v[i, j] = -u[i, j]


@pytest.mark.parametrize("shape", [(5, 7), (1, 300), (300, 1), (3, 3), (9, 256)])
def test_two_indices_are_each_visited_once(shape: tuple[int, int]) -> None:
    """Catches a carry of the second index that is forgotten or counted twice."""
    assert agree(heat, [ramp(*shape)], [ramp(*shape) + 50]) == [0] * 8


@kernel
def cube(i, j, k, x, z):
    z[i, j, k] += x[k, i] + 10 * j


@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 1, 1), (1, 70, 5), (3, 17, 16)])
def test_three_indices_are_each_visited_once(shape: tuple[int, int, int]) -> None:
    """Catches the same between the second and the third index."""
    assert agree(cube, [ramp(shape[2], shape[0])], [ramp(*shape)]) == [0] * 8


def test_an_empty_row_is_no_division_by_zero() -> None:
    """Catches a crash, or a thread that never ends, where a row has no elements."""
    agree(heat, [ramp(3, 0)], [ramp(3, 0)])


@kernel
def plate(i, j, x, z, a):
    if x[i, j] > 0:
        z[i, j] = a * x[i, j]


@kernel
def diagonal(i, j, x, z):
    z[i, j] = x[i, j] if i == j else 0


def test_a_map_of_two_indices_is_one_row_unless_its_body_counts() -> None:
    """Catches an index value that a flattened space would get wrong."""
    agree(plate, [ramp(6, 9)], [ramp(6, 9) + 40], {"a": 3.0})
    agree(diagonal, [ramp(6, 9)], [ramp(6, 9)])
    x = ramp(2, 3)
    assert is_packable(typed_kernel(plate, [x], [x + 1], {"a": 1.0}))
    assert not is_packable(typed_kernel(diagonal, [x], [x + 1], {}))


@reduction(init=1.5)
def squares(acc, v, w):
    return acc + v * v * w


def test_a_reduction_goes_on_between_slices() -> None:
    """Catches an accumulator that starts anew in the second slice."""
    agree(squares, [ramp(33)], [np.zeros(1, np.float32)], {"w": 2.0})
