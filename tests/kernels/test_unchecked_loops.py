"""What runs without a check at each access: maps, straight bodies, loops, slices."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpures_lab.kernels import compile_host, kernel

from .calling import call, signature_of

_X = np.arange(1.0, 21.0)


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
