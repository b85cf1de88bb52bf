"""Out-of-range accesses: skipped, reported, and never different from the definition."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpures_lab.kernels import kernel, kernel_from_source
from gpures_lab.kernels.host.emit import emit
from gpures_lab.kernels.typed.kernel import type_kernel

from .calling import call, signature_of
from .reference import run_reference

_ZONE = 64


def _zoned(array: Any) -> Any:
    """A copy between two zones of a value that no test computes: a read outside shows."""
    buffer = np.full(array.size + 2 * _ZONE, 77, array.dtype)
    inside = buffer[_ZONE : _ZONE + array.size]
    inside[:] = array.reshape(-1)
    return inside.reshape(array.shape)


def _zones_are_whole(array: Any) -> bool:
    buffer = array.base
    while buffer.base is not None:
        buffer = buffer.base
    return bool((buffer[:_ZONE] == 77).all() and (buffer[-_ZONE:] == 77).all())


def _agree(
    function: Callable[..., None],
    inputs: list[Any],
    outputs: list[Any],
    params: dict[str, Any] | None = None,
    shape: tuple[int, ...] | None = None,
) -> list[int]:
    """Run the kernel and the definition; compare outputs and whether anything was outside."""
    made = kernel(function)
    if shape is None:
        shape = (outputs[0].size,) if made.indices == 1 else outputs[0].shape
    inputs = [_zoned(array) for array in inputs]
    mine = [_zoned(array) for array in outputs]
    theirs = [array.copy() for array in outputs]
    fault = call(made, inputs, mine, params, shape=shape)
    expected = run_reference(function, [*inputs, *theirs], shape, params)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
        assert _zones_are_whole(a)
    assert (fault[0] != 0) == (expected[0] != 0)
    return fault


_X = np.arange(1.0, 21.0)


def test_a_negative_index_is_out_of_range_never_the_last_element() -> None:
    def f(i, x, z):
        z[i] = x[i - 1]

    assert _agree(f, [_X], [np.zeros(20)]) == [1, 0, -1, -1, 20, 0, 0, 0]


def test_the_first_fault_is_kept_with_its_array_axis_index_and_extent() -> None:
    def f(i, j, u, v):
        v[i, j] = u[i, j + 2]

    u = np.arange(12.0).reshape(3, 4)
    assert _agree(f, [u], [np.zeros((3, 4))]) == [1, 0, 1, 4, 4, 0, 0, 0]


def test_a_fault_names_the_compiled_array() -> None:
    """Two names for one handle are one array: the positions after it move up."""

    @kernel
    def f(i, x, y, z):
        z[i + 1] = x[i] + y[i]

    x, z = np.arange(4.0), np.zeros(4)
    assert call(f, [x, x], [z])[:5] == [1, 1, -1, 4, 4]
    assert z.tolist() == [0, 0, 2, 4]


def test_a_skipped_store_is_dropped_and_what_follows_still_runs() -> None:
    def f(i, z, y):
        z[i + 18] = 1.0
        y[i] = 2.0

    _agree(f, [], [np.zeros(20), np.zeros(20)])


def test_subscripts_read_from_memory_are_checked_each() -> None:
    def f(i, q, x, z):
        z[i] = x[q[i]]

    q = np.array([0, 3, -1, 19, 20, 2**62, -(2**63), 5])
    assert _agree(f, [q, _X], [np.zeros(8)])[3:5] == [-1, 20]


def test_uint64_subscripts_beyond_int64_are_out_of_range() -> None:
    @kernel
    def f(i, q, x, z):
        z[i] = x[q[i]]

    z = np.full(2, 9.0)
    assert call(f, [np.array([1, 2**64 - 1], "uint64"), _X], [z])[0] == 1
    assert z.tolist() == [2.0, 0.0]


def test_a_guarded_stencil_has_no_fault_and_equals_the_definition() -> None:
    """Catches checks that ignore the user's own condition at the edges."""

    def f(i, j, u, v):
        if i > 0 and i < u.shape[0] - 1 and j > 0 and j < u.shape[1] - 1:
            v[i, j] = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
        else:
            v[i, j] = u[i, j]

    u = np.arange(30.0).reshape(5, 6)
    assert _agree(f, [u], [np.zeros((5, 6))])[0] == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (7, 3)])
def test_small_spaces_have_no_interior(shape: tuple[int, int]) -> None:
    def f(i, j, u, v):
        v[i, j] = u[i - 2, j + 1] - u[i + 2, j - 3]

    _agree(f, [np.arange(float(shape[0] * shape[1])).reshape(shape)], [np.zeros(shape)])


def test_arrays_smaller_and_larger_than_the_space() -> None:
    def f(i, j, u, v):
        v[i, j] = u[i, j + 0] + 1

    for other in ((2, 3), (6, 6), (3, 7)):
        _agree(f, [np.ones(other)], [np.zeros((4, 5))])


def test_flat_subscripts_of_a_matrix() -> None:
    def f(i, u, v, w):
        r = i // w
        c = i % w
        v[i] = u[r * w + c] + u[r, c] + u[c * w + r]

    u = np.arange(20.0).reshape(4, 5)
    _agree(f, [u], [np.zeros((4, 5))], {"w": 5})
    _agree(f, [u], [np.zeros((4, 5))], {"w": -3})


def test_clamped_and_periodic_neighbours_need_no_check() -> None:
    def f(i, x, z):
        n = x.size
        z[i] = x[max(i - 1, 0)] + x[min(i + 1, n - 1)] * 100 + x[(i + 5) % n] * 1000

    assert _agree(f, [_X], [np.zeros(20)])[0] == 0


def test_bounds_too_large_for_exact_arithmetic_are_not_believed() -> None:
    """Catches intervals that round, or that do not wrap where the body's int64 does."""

    def rounds(i, x, z, w):
        z[i] = x[i + (w + 3 - w)]

    # In float64, 2**60 + 3 - 2**60 is 0.
    assert _agree(rounds, [_X], [np.zeros(20)], {"w": 2**60}) == [1, 0, -1, 20, 20, 0, 0, 0]

    def wraps(i, x, z, w):
        z[i] = x[i + min(w * w, 3)]

    # The square of 3037000500 is beyond int64: it wraps to a negative number.
    x, z = _zoned(_X), np.full(4, 9.0)
    assert call(kernel(wraps), [x], [z], {"w": 3037000500})[0] == 1
    assert z.tolist() == [0, 0, 0, 0]
    assert call(kernel(wraps), [x], [z], {"w": 1}) == [0] * 8
    assert z.tolist() == [2, 3, 4, 5]


def test_a_local_that_two_statements_assign_is_not_one_value() -> None:
    def f(i, x, z):
        m = i
        if i > 5:
            m = i + 3
        z[i] = x[m]
        for k in range(3):
            k = k * 30
            z[i] += x[k]

    _agree(f, [_X], [np.zeros(20)])


def test_a_local_read_before_its_assignment_in_a_branch_is_not_trusted() -> None:
    @kernel
    def f(i, x, z):
        k = 0
        for _turn in range(2):
            if i > 100:
                k = i + 3
            z[i] = x[k - 4]

    x, z = _zoned(_X), np.ones(4)
    assert call(f, [x], [z])[:5] == [1, 0, -1, -4, 20]
    assert z.tolist() == [0, 0, 0, 0]


def test_unchecked_kernels_have_no_checks() -> None:
    """The element beyond the array is really read: it lies in the same buffer here."""

    @kernel(checked=False)
    def f(i, x, z):
        z[i] = x[i + 2]

    buffer = np.arange(8.0)
    x, z = buffer[:4], np.zeros(4)
    assert call(f, [x], [z]) == [0] * 8
    assert z.tolist() == [2, 3, 4, 5]
    z[:] = 9
    assert call(f, [x], [z], checked=True)[0] == 1
    assert z.tolist() == [2, 3, 0, 0]


_TERMS = [
    *("i + a", "i - a", "a - i", "2 * i + a", "i // 2 - a", "i % 3 + a", "k", "i + k", "i - k"),
    *("k * p", "i * p + k", "min(i + a, k)", "max(i - a, 0)", "abs(i - a)", "q[i] + a", "u[i] - a"),
    *("m", "m + k - a", "-i + a", "x.size - i - a", "(i + k) % x.size", "(i if i > a else k + a)"),
    *("i * p // 3", "i % p", "(i + a) // p", "n - i - a", "min(max(i + k, 0), x.size - 1)"),
]


@pytest.mark.parametrize("term", _TERMS)
def test_any_subscript_is_safe_and_means_what_python_means(term: str) -> None:
    """Catches an interior that is too wide by one: it would read or write the zones.

    Compiled once; sizes, params and loop bounds are drawn for the compiled code.
    """
    body = f"m = i - a\nfor k in range(start, stop):\n    z[i] += x[{term}]\nk = a\ny[{term}] = 1\n"
    params = ["a", "p", "start", "stop", "n"]
    made = kernel_from_source(
        "any", body, inputs=["q", "u", "x"], outputs=["z", "y"], params=params, namespace={}
    )
    scope: dict[str, Any] = {}
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    exec(f"def function(i, q, u, x, z, y, {', '.join(params)}):\n{indented}", scope)  # noqa: S102
    small = st.integers(-3, 4)

    @settings(max_examples=40, derandomize=True, database=None, deadline=None)
    @given(
        a=small,
        p=st.integers(-4, 9).filter(bool),
        start=small,
        length=st.integers(-1, 4),
        size=st.integers(1, 16),
        n=st.integers(1, 16),
    )
    def check(a: int, p: int, start: int, length: int, size: int, n: int) -> None:  # noqa: PLR0917
        values = {"a": a, "p": p, "start": start, "stop": start + length, "n": n}
        q, u = np.arange(n) * 3 % 7 - 1, (np.arange(n) * 5 % 11).astype("u1")
        x = _zoned(np.arange(1.0, size + 1))
        z, y = _zoned(np.zeros(n)), _zoned(np.zeros(size))
        z_expected, y_expected = np.zeros(n), np.zeros(size)
        fault = call(made, [q, u, x], [z, y], values, shape=(n,))
        arrays = [q, u.astype(np.int64), x, z_expected, y_expected]
        expected = run_reference(scope["function"], arrays, (n,), values)
        np.testing.assert_array_equal(z, z_expected)
        np.testing.assert_array_equal(y, y_expected)
        assert _zones_are_whole(z)
        assert _zones_are_whole(y)
        assert (fault[0] != 0) == (expected[0] != 0)

    check()


def test_interiors_are_really_found() -> None:
    """Catches a proof that never succeeds: everything would be safe, and slow."""

    def text(body: str) -> str:
        names = {"inputs": ["x"], "outputs": ["z"], "params": ["w"], "namespace": {}}
        made = kernel_from_source("f", body, **names)  # type: ignore[arg-type]
        x = np.zeros(4)
        typed = type_kernel(made, ("x", "z"), signature_of(made, [x], [x.copy()], {"w": 1}))
        return emit(typed).text

    for body in ("z[i] = x[i - 1] + x[i + w]", "for k in range(w):\n    z[i] += x[i * w + k]"):
        fast, slow = text(body).split("else:")[0], text(body).split("else:")[-1]
        assert "guarded" not in fast
        assert "guarded_load" in slow
        assert "guarded_store" in slow
    assert "guarded_load" in text("z[i] = x[int(x[i])]").split("else:")[0]
