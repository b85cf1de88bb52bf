"""Control flow and expressions mean what the same Python function means."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpures_lab.kernels import fma, kernel

from .calling import call
from .reference import run_reference


def _agree(
    function: Callable[..., None],
    inputs: list[Any],
    outputs: list[Any],
    params: dict[str, Any] | None = None,
) -> list[Any]:
    """Run both ways, compare outputs and faults, and give the kernel's outputs."""
    mine = [array.copy() for array in outputs]
    theirs = [array.copy() for array in outputs]
    made = kernel(function)
    shape = (mine[0].size,) if made.indices == 1 else mine[0].shape
    fault = call(made, inputs, mine, params)
    expected_fault = run_reference(function, [*inputs, *theirs], shape, params)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    assert fault == expected_fault
    return mine


_X = np.array([0.5, -1.5, 2.0, -0.25, 3.0, 7.5, -2.0, 0.0])


def test_branches_and_conditional_expressions() -> None:
    def f(i, x, z, a):
        if x[i] > 1 and not x[i] > 5:
            z[i] = x[i] * a
        elif x[i] < -1 or x[i] == 0:
            z[i] = -x[i] + 1
        else:
            z[i] = a if 0 < x[i] <= 0.5 else 10
        if x[i] < 0:
            z[i] += 100

    _agree(f, [_X], [np.zeros(8)], {"a": 0.75})


def test_loops_with_break_continue_and_nesting() -> None:
    def f(i, x, z):
        s = 0.0
        for k in range(x.size):
            if k == i:
                continue
            if k > 6:
                break
            for m in range(k, 0, -2):
                s += x[m] * (k - m)
        z[i] = s

    _agree(f, [_X], [np.zeros(8)])


def test_while_and_the_collatz_steps() -> None:
    def f(i, z):
        n = i + 1
        steps = 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        z[i] = steps

    assert _agree(f, [], [np.zeros(30, np.int32)])[0][26] == 111


def test_return_ends_this_index_only_from_inside_loops_too() -> None:
    """Catches a return that ends the enclosing loop alone, or the whole kernel."""

    def f(i, x, z):
        z[i] = -1
        if i == 3:
            return
        for k in range(8):
            for m in range(8):
                if k * m > i * 3:
                    z[i] = k * 10 + m
                    return
            if k == 5:
                return
        z[i] = 99

    _agree(f, [_X], [np.zeros(8)])


def test_the_loop_variable_keeps_its_last_value() -> None:
    def f(i, z):
        k = 7
        for k in range(i):
            z[i] += k
        z[i] += k * 100

    _agree(f, [], [np.zeros(6)])


def test_a_range_step_that_is_known_only_at_run_time() -> None:
    """A step of 0, for which Python raises, runs not at all."""

    @kernel
    def f(i, z, step):
        for k in range(0, 10, step):
            z[i] += k

    z = np.zeros(1)
    call(f, [], [z], {"step": 3})
    assert z[0] == 0 + 3 + 6 + 9
    call(f, [], [z], {"step": 0})
    assert z[0] == 18
    call(f, [], [z], {"step": -1})
    assert z[0] == 18


def test_tuple_assignment_evaluates_the_right_side_first() -> None:
    def f(i, x, z):
        a, b = x[i], 2.0
        a, b = b, a
        c = d = a + 1
        z[i] = a * 10 + b + c + d

    _agree(f, [_X], [np.zeros(8)])


def test_integer_operators_follow_python() -> None:
    def f(i, p, q, z):
        z[i] = p[i] // q[i] * 1000 + p[i] % q[i] + (p[i] << 2) + (p[i] >> 1) + (p[i] & q[i] | 4 ^ 1)

    p, q = np.array([7, -7, 7, -7, 0]), np.array([2, 2, -2, -2, 5])
    _agree(f, [p, q], [np.zeros(5, np.int64)])


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint64"])
def test_division_by_zero_gives_zero_and_the_rest_is_written(dtype: str) -> None:
    """Catches Numba's default, which stops half-way with the rest unwritten."""

    @kernel
    def f(i, p, q, z, r):
        z[i] = p[i] // q[i]
        r[i] = p[i] % q[i]

    p, q = np.arange(5).astype(dtype), np.array([1, 0, 2, 0, 3]).astype(dtype)
    z, r = np.full(5, 9, dtype), np.full(5, 9, dtype)
    call(f, [p, q], [z, r])
    assert z.tolist() == [0, 0, 1, 0, 1]
    assert r.tolist() == [0, 0, 0, 0, 1]


def test_integer_powers() -> None:
    def f(i, p, z):
        z[i] = p[i] ** 3 + 2 ** (p[i] + 4)

    _agree(f, [np.array([-3, 0, 1, 5])], [np.zeros(4, np.int64)])


def test_builtins() -> None:
    def f(i, x, z):
        z[i] = abs(x[i]) + max(x[i], 1, 2.5) + min(x[i], 0) + round(x[i]) + int(x[i])
        z[i] += float(i) + bool(x[i]) + len(x) + round(x[i], 1)

    _agree(f, [_X], [np.zeros(8)])


def test_python_min_and_max_keep_the_first_beside_nan() -> None:
    def f(i, x, y, z):
        z[i] = max(x[i], y[i]) + 10 * min(x[i], y[i])

    nan = np.nan
    _agree(f, [np.array([nan, 1.0]), np.array([1.0, nan])], [np.zeros(2)])


def test_math_numpy_and_fma() -> None:
    def f(i, x, z):
        z[i] = math.sqrt(abs(x[i])) + math.floor(x[i]) + math.pi + np.where(x[i] > 0, 1.5, -1.5)
        z[i] += np.clip(x[i], -1, 1) + np.maximum(x[i], 0.25)

    _agree(f, [_X], [np.zeros(8)])

    @kernel
    def g(i, x, z):
        z[i] = fma(x[i], x[i], -1.0)

    # 1 + 2**-30 squared needs 61 bits: a separate product drops the last one.
    x, z = np.array([1 + 2.0**-30]), np.zeros(1)
    call(g, [x], [z])
    assert z[0] == 2.0**-29 + 2.0**-60
    assert x[0] * x[0] - 1.0 == 2.0**-29


def test_products_are_not_contracted() -> None:
    """Catches a compiler that fuses ``x * x - 1`` behind the user's back."""

    @kernel
    def f(i, x, z):
        z[i] = x[i] * x[i] - 1.0

    x, z = np.full(64, 1 + 2.0**-30), np.zeros(64)
    call(f, [x], [z])
    assert (z == 2.0**-29).all()


def test_plain_functions_are_compiled_in() -> None:
    factor = 3

    def scale(v, by=2):
        if v > 0:
            return v * by
        return v - by

    def twice(v):
        return scale(scale(v, by=factor))

    def f(i, x, z):
        z[i] = twice(x[i]) + scale(1)

    _agree(f, [_X], [np.zeros(8)])


def test_a_called_function_may_read_arrays() -> None:
    def at(u, k):
        return u[k] * u.size

    def f(i, x, z):
        z[i] = at(x, i) + at(x, i + 1)

    _agree(f, [_X], [np.zeros(8)])


def test_lambdas_are_plain_functions() -> None:
    cube = lambda v: v * v * v  # noqa: E731

    def f(i, x, z):
        z[i] = cube(x[i])

    _agree(f, [_X], [np.zeros(8)])


def test_a_parameter_that_is_assigned_is_a_local() -> None:
    def f(i, x, z, a):
        a = a * 2
        if i > 3:
            a += 1
        z[i] = a * x[i]

    _agree(f, [_X], [np.zeros(8)], {"a": 3})


def test_shape_size_and_three_indices() -> None:
    def f(i, j, k, u, z):
        z[i, j, k] = u[i, j, k] * u.shape[0] + u.shape[-1] * 100 + z.size + u.ndim

    _agree(f, [np.arange(24.0).reshape(2, 3, 4)], [np.zeros((2, 3, 4))])


def test_complex_parts() -> None:
    def f(i, x, z):
        z[i] = x[i].real * 2 + abs(x[i]) - x[i].imag

    _agree(f, [np.array([3 + 4j, -1j, 2.0])], [np.zeros(3)])


def test_complex_of_two_parts() -> None:
    def f(i, x, y, z):
        z[i] = complex(x[i], y[i]) + complex(1, x[i]) + complex(y[i])

    for dtype in ("f4", "f8"):
        x, y = np.array([1.5, -2.0], dtype), np.array([0.25, 4.0], dtype)
        z = np.zeros(2, "c8" if dtype == "f4" else "c16")
        call(kernel(f), [x, y], [z])
        np.testing.assert_array_equal(z, (x + 1j * y) + (1 + 1j * x) + y)


def test_names_that_are_not_ascii_or_python_words_of_the_target() -> None:
    """Catches user names that meet the generated code's own."""

    def f(i, x, z, größe):  # noqa: PLC2401
        p0 = x[i]
        fault = p0 + größe
        step, acc, begin = fault, 1, 2
        z[i] = step + acc + begin

    _agree(f, [_X], [np.zeros(8)], {"größe": 2.5})
