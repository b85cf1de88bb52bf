"""Equal handles are one parameter; reading another index's element of an output is refused."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpures_lab.errors import CompileError
from gpures_lab.kernels import compile_host, kernel

from .calling import call, signature_of


@kernel
def saxpy(i, x, y, z, a):
    z[i] = a * x[i] + y[i]


def test_equal_handles_are_passed_once() -> None:
    x, z = np.arange(8.0), np.ones(8)
    for inputs, expected in (([x, z], (0, 1)), ([z, z], (0,)), ([x, x], (0, 2))):
        code = compile_host(saxpy, signature_of(saxpy, inputs, [z], {"a": 2.0}))
        assert code.arrays == expected
        assert code.is_map
    call(saxpy, [z, z], [z], {"a": 0.5})
    assert (z == 1.5).all()
    call(saxpy, [x, z], [z], {"a": 2.0})
    np.testing.assert_array_equal(z, 2 * x + 1.5)


def test_the_pattern_of_equal_handles_is_part_of_the_cache_key() -> None:
    """Catches a cache that hands code for one buffer to a call with two."""
    x, y, z = np.arange(4.0), np.full(4, 10.0), np.zeros(4)
    call(saxpy, [z, z], [z], {"a": 1.0})
    call(saxpy, [x, y], [z], {"a": 1.0})
    np.testing.assert_array_equal(z, x + y)


def _refused(function: Any, inputs: list[Any], outputs: list[Any]) -> None:
    with pytest.raises(CompileError, match=r"belongs to another index.*use a second array"):
        call(kernel(function), inputs, outputs)


def test_reading_a_neighbour_in_place_is_refused() -> None:
    def through_input(i, x, z):
        z[i] = x[i - 1]

    def own_output(i, z):
        z[i] = z[i] + z[i + 1]

    def fixed(i, z):
        z[i] = z[0]

    def loop(i, z):
        s = 0.0
        for k in range(z.size):
            s += z[k]
        z[i] = s

    def two(i, j, v):
        v[i, j] = v[j, i]

    z = np.zeros(4)
    _refused(through_input, [z], [z])
    _refused(own_output, [], [z])
    _refused(fixed, [], [z])
    _refused(loop, [], [z])
    _refused(two, [], [np.zeros((2, 2))])
    call(kernel(through_input), [np.zeros(4)], [z])


def test_reading_ones_own_index_in_place_is_fine() -> None:
    @kernel
    def pairs(i, z):
        z[2 * i] = z[2 * i] + z[2 * i + 1]
        z[2 * i + 1] = 0

    z = np.arange(6.0)
    call(pairs, [], [z], shape=(3,))
    assert z.tolist() == [1, 0, 5, 0, 9, 0]


def test_one_index_may_walk_the_whole_array() -> None:
    """A kernel launched over n=1 owns every element: loops over stores are not refused."""

    @kernel
    def cumulate(i, z):
        for k in range(1, z.size):
            z[k] = z[k] + z[k - 1]

    z = np.ones(5)
    call(cumulate, [], [z], shape=(1,))
    assert z.tolist() == [1, 2, 3, 4, 5]


def test_what_cannot_be_seen_is_not_refused() -> None:
    @kernel
    def gather(i, q, x, z):
        z[i] = x[q[i]]

    z = np.arange(4.0)
    call(gather, [np.arange(4), z], [z])
    assert z.tolist() == [0, 1, 2, 3]
