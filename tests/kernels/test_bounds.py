"""Out-of-range accesses: skipped, reported, and never different from the definition."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gpures_lab.kernels import compile_host, kernel, kernel_from_source

from .calling import call, signature_of
from .reference import run_reference


def _agree(
    function: Callable[..., None],
    inputs: list[Any],
    outputs: list[Any],
    params: dict[str, Any] | None = None,
    shape: tuple[int, ...] | None = None,
) -> list[int]:
    made = kernel(function)
    if shape is None:
        shape = (outputs[0].size,) if made.indices == 1 else outputs[0].shape
    mine = [array.copy() for array in outputs]
    theirs = [array.copy() for array in outputs]
    fault = call(made, inputs, mine, params, shape=shape)
    expected = run_reference(function, [*inputs, *theirs], shape, params)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
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


def test_bounds_that_overflow_int64_are_not_believed() -> None:
    """Catches interval arithmetic that wraps and calls a wild subscript proven."""

    def f(i, x, z, w):
        z[i] = x[i + w * w * w * w - w * w * w * w + 1]

    # In int64, w**4 wraps to 0 for w = 2**16: the subscript is i + 1.
    assert _agree(f, [_X], [np.zeros(4)], {"w": 7})[0] == 0
    made, z = kernel(f), np.zeros(4)
    assert call(made, [_X], [z], {"w": 2**16})[0] == 0
    assert z.tolist() == [2, 3, 4, 5]

    def g(i, x, z, w):
        z[i] = x[i + w * 2]

    z = np.zeros(4)
    assert call(kernel(g), [_X], [z], {"w": 2**62})[0] == 1
    assert call(kernel(g), [_X], [z], {"w": 2**63 - 1})[0] == 1


def test_a_local_read_before_its_assignment_in_a_branch_is_not_trusted() -> None:
    @kernel
    def f(i, x, z):
        for _turn in range(2):
            if i > 100:
                k = i + 3
            z[i] = x[k - 4]

    z = np.ones(4)
    assert call(f, [_X], [z])[:5] == [1, 0, -1, -4, 20]
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


_TERMS = st.sampled_from(
    [
        *("i", "i + {a}", "i - {a}", "{a} - i", "2 * i", "i // 2", "i % 3", "k", "i + k"),
        *("i - k + {a}", "k * p", "i * p + k", "min(i, {a})", "abs(i - {a})", "q[i]"),
        *("q[k] + i", "m", "m + k", "-i", "x.size - i - 1", "(i + p) % x.size"),
        *("(i if i > {a} else k)", "i * p // 3", "i % p"),
    ]
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # each example is a compile: no shrinking
)
@given(
    terms=st.lists(_TERMS, min_size=3, max_size=3),
    a=st.integers(0, 5),
    p=st.integers(-4, 9).filter(bool),
    start=st.integers(-3, 3),
    stop=st.integers(-2, 5),
    step=st.sampled_from([1, 2, -1]),
    size=st.integers(1, 12),
    n=st.integers(1, 14),
)
def test_any_subscript_is_safe_and_means_what_python_means(  # noqa: PLR0917
    terms: list[str], a: int, p: int, start: int, stop: int, step: int, size: int, n: int
) -> None:
    """Catches an interior that is too wide: it would read or write outside the array."""
    first, second, third = (term.format(a=a) for term in terms)
    body = (
        f"m = i - {a}\n"
        f"for k in range({start}, {stop}, {step}):\n"
        f"    z[i] += x[{first}] + 2 * x[{second}]\n"
        "k = i\n"
        f"y[{third}] = 1\n"
    )
    made = kernel_from_source(
        "any", body, inputs=["q", "x"], outputs=["z", "y"], params=["p"], namespace={}
    )
    scope: dict[str, Any] = {}
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    exec(f"def function(i, q, x, z, y, p):\n{indented}", scope)  # noqa: S102 - the reference
    rng = np.random.default_rng(a + 7 * size)
    q = rng.integers(-3, 14, n)
    # Guard zones around x and y show a write outside; their values show a read outside.
    guarded = np.full(size + 200, -1e9)
    guarded[100 : 100 + size] = rng.integers(0, 50, size)
    x = guarded[100 : 100 + size]
    written = np.zeros(size + 200)
    y = written[100 : 100 + size]
    z, z_expected, y_expected = np.zeros(n), np.zeros(n), np.zeros(size)
    fault = call(made, [q, x], [z, y], {"p": p}, shape=(n,))
    expected = run_reference(scope["function"], [q, x, z_expected, y_expected], (n,), {"p": p})
    np.testing.assert_array_equal(z, z_expected)
    np.testing.assert_array_equal(y, y_expected)
    assert written.sum() == y.sum()
    assert (fault[0] != 0) == (expected[0] != 0)


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
