"""Out-of-range accesses: skipped, reported, and never different from the definition."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpures_lab.kernels import compile_host, kernel, kernel_from_source
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


def _code_of(function: Callable[..., None], inputs: list[Any], outputs: list[Any]) -> Any:
    made = kernel(function)
    return compile_host(made, signature_of(made, inputs, outputs, {}))


def test_what_counts_as_a_map() -> None:
    x, u = np.zeros(4), np.zeros((2, 2))

    def own(i, x, z):
        z[i] = x[i]

    def shifted(i, x, z):
        z[i] = x[i + 0 * i]

    def unused(i, x, z):
        z[i] = x.size

    def both(i, j, u, v):
        v[i, j] = u[i, j]

    def turned(i, j, u, v):
        v[i, j] = u[j, i]

    assert _code_of(own, [x], [x.copy()]).is_map
    assert _code_of(own, [u], [x.copy()]).is_map
    assert not _code_of(shifted, [x], [x.copy()]).is_map
    assert not _code_of(unused, [x], [x.copy()]).is_map
    assert _code_of(both, [u], [u.copy()]).is_map
    assert not _code_of(turned, [u], [u.copy()]).is_map


ROWS = [(0, 20), (3, 3), (17, 20), (7, 4), (-2, 3), (18, 23), (-3, -1), (25, 30), (-5, 40)]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_loop_whose_bounds_come_from_memory(row: tuple[int, int]) -> None:
    """Would catch: the unchecked loop taken where one end, or one of two arrays, is outside."""

    @kernel
    def f(i, bounds, x, w, z, seen):  # noqa: PLR0917 - a kernel
        total = 0.0
        for k in range(bounds[0], bounds[1]):
            total += x[k] * w[k]
            seen[k] = 1
        z[i] = total

    bounds = np.array(row)
    w, seen, z = np.arange(1.0, 19.0), np.zeros(20), np.full(1, -1.0)  # two fewer than x has
    fault = call(f, [bounds, _X, w], [z, seen], shape=(1,))
    walked = np.arange(*row)
    inside = walked[(walked >= 0) & (walked < 18)]
    assert z[0] == np.sum(_X[inside] * w[inside])
    touched = np.zeros(20)
    touched[walked[(walked >= 0) & (walked < 20)]] = 1
    np.testing.assert_array_equal(seen, touched)
    outside = walked[(walked < 0) | (walked >= 18)]
    assert fault[0] == (outside.size > 0)
    if outside.size:
        assert fault[3] == outside[0]


def test_a_counter_that_the_body_moves_stays_checked() -> None:
    """Would catch: a check at the loop's bounds for a subscript that is no longer the counter."""

    @kernel
    def f(i, bounds, x, z):
        total = 0.0
        for k in range(bounds[0], bounds[1]):
            k = k + 15
            total += x[k]
        z[i] = total

    z = np.full(1, -1.0)
    fault = call(f, [np.array([0, 10]), _X], [z], shape=(1,))
    assert z[0] == _X[15:].sum()
    assert (fault[0], fault[3]) == (1, 20)


def test_a_return_leaves_either_loop() -> None:
    """Would catch: a return inside the loop that only ends the loop."""

    @kernel
    def f(i, bounds, x, z):
        for k in range(bounds[0], bounds[1]):
            if x[k] > 5:
                z[i] = x[k]
                return
        z[i] = -2

    for bounds, wanted in (([0, 20], _X[_X > 5][0]), ([0, 25], _X[_X > 5][0]), ([0, 1], -2)):
        z = np.full(3, -1.0)
        call(f, [np.array(bounds), _X], [z])
        np.testing.assert_array_equal(z, wanted)


def test_what_counts_as_straight() -> None:
    """Would catch: a loop that `stop` waits for 65,536 times, hidden in a function or a branch."""
    x = np.zeros(4)

    def triangle(n):
        total = 0
        for k in range(n):
            total += k
        return total

    def twice(n):
        return triangle(n) * 2

    def plain(i, x, z):
        z[i] = x[i] if x[i] > 0 else x[i - 1]

    def looping(i, x, z):
        if i > 1:
            while z[i] < x[i]:
                z[i] += 1

    def calling(i, x, z):
        z[i] = twice(i)

    assert _code_of(plain, [x], [x.copy()]).is_straight
    assert not _code_of(looping, [x], [x.copy()]).is_straight
    assert not _code_of(calling, [x], [x.copy()]).is_straight


@pytest.mark.parametrize("shape", [(3, 4), (3, 5), (4, 4), (4, 5)])
def test_a_space_that_is_inside_and_one_that_is_not(shape: tuple[int, int]) -> None:
    """Would catch: the unchecked nest taken where one axis reaches outside."""

    @kernel
    def f(i, j, u, v):
        v[i, j] = u[i + 1, j + 1]

    u, v = np.arange(1.0, 21.0).reshape(4, 5), np.full((4, 5), -1.0)
    fault = call(f, [u], [v], shape=shape)
    inside = np.zeros((4, 5))
    inside[:3, :4] = u[1:, 1:]
    wanted = np.full((4, 5), -1.0)
    wanted[: shape[0], : shape[1]] = inside[: shape[0], : shape[1]]
    np.testing.assert_array_equal(v, wanted)
    assert fault[0] == (shape != (3, 4))


@pytest.mark.parametrize("cuts", [[0, 20], [0, 1, 20], [0, 7, 7, 13, 20], list(range(21))])
def test_slices_give_what_one_call_gives(cuts: list[int]) -> None:
    @kernel
    def f(i, x, z):
        z[i] = x[i - 1] + x[i + 1]

    whole, pieces = np.zeros(20), np.zeros(20)
    call(f, [_X], [whole])
    call(f, [_X], [pieces], slices=list(itertools.pairwise(cuts)))
    np.testing.assert_array_equal(whole, pieces)


def test_slices_of_two_indices_cover_the_second_whole() -> None:
    @kernel
    def f(i, j, u, v):
        v[i, j] = u[i - 1, j - 1] + i * 10 + j

    u = np.arange(30.0).reshape(5, 6)
    whole, pieces = np.zeros((5, 6)), np.zeros((5, 6))
    call(f, [u], [whole])
    call(f, [u], [pieces], slices=[(0, 2), (2, 3), (3, 5)])
    np.testing.assert_array_equal(whole, pieces)


def test_an_empty_slice_touches_nothing() -> None:
    @kernel
    def f(i, x, z):
        z[i] = x[i + 1]

    z = np.ones(20)
    assert call(f, [_X], [z], slices=[(0, 0), (5, 5)]) == [0] * 8
    assert (z == 1).all()
