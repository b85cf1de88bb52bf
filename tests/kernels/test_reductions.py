"""Reductions: the accumulator has the output's dtype and lives there between slices."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from gpures_lab.errors import CompileError, InvalidOption
from gpures_lab.kernels import bind, compile_host, reduction

from .calling import call, signature_of


@reduction(init=0.0)
def total(acc, v):
    return acc + v


@reduction(init=-math.inf)
def largest(acc, v):
    if v > acc:
        return v
    return acc


@reduction(init=0)
def weighted(acc, v, w, scale=1):
    part = v * w
    acc += part * scale
    return acc


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex128"])
def test_a_sum_accumulates_in_the_outputs_dtype(dtype: str) -> None:
    v, z = np.arange(100, dtype="u1"), np.full(1, 7, dtype)
    call(total, [v], [z])
    assert z[0] == 4950


def test_float32_elements_summed_into_float64_keep_their_digits() -> None:
    v = np.full(1000, 2.0**-30, "f4")
    v[0] = 1.0
    wide, narrow = np.zeros(1), np.zeros(1, "f4")
    call(total, [v], [wide])
    call(total, [v], [narrow])
    assert wide[0] == 1 + 999 * 2.0**-30
    assert narrow[0] == 1.0


@pytest.mark.parametrize("cuts", [[0, 50], [0, 1, 50], [0, 17, 17, 49, 50]])
def test_slices_continue_the_accumulator_and_the_first_one_resets_it(cuts: list[int]) -> None:
    v, z = np.random.default_rng(3).random(50), np.full(1, 123.0)
    call(total, [v], [z], slices=list(itertools.pairwise(cuts)))
    expected = 0.0
    for each in v:
        expected += each
    assert z[0] == expected


def test_a_reduction_over_nothing_is_its_start() -> None:
    z = np.zeros(1)
    call(largest, [np.zeros(0)], [z], slices=[(0, 0)])
    assert z[0] == -math.inf


def test_branches_several_inputs_and_params() -> None:
    v, w, z = np.array([1.0, -5, 3]), np.array([2.0, 1, 10]), np.zeros(1)
    call(largest, [v], [z])
    assert z[0] == 3
    call(weighted, [v, w], [z])
    assert z[0] == 27
    call(weighted, [v, w], [z], {"scale": 2})
    assert z[0] == 54


def test_inputs_of_different_sizes_are_checked() -> None:
    v, w, z = np.ones(4), np.ones(2), np.zeros(1)
    assert call(weighted, [v, w], [z])[:5] == [1, 1, -1, 2, 2]
    assert z[0] == 2


def test_it_says_it_is_a_reduction() -> None:
    code = compile_host(total, signature_of(total, [np.zeros(3)], [np.zeros(1)], {}))
    assert (code.is_reduction, code.is_map, code.indices) == (True, False, 1)
    assert total.kind == "reduction"
    assert repr(total) == "<reduction kernel total(acc, v)>"


def test_the_start_is_part_of_the_identity() -> None:
    def same(acc, v):
        return acc + v

    kernels = [reduction(init=start)(same) for start in (0, 0.0, 1, np.float32(0))]
    assert len({each.identity for each in kernels}) == 4
    assert reduction(init=0)(same).identity == kernels[0].identity


def test_wrong_counts_and_an_output_that_is_an_input() -> None:
    with pytest.raises(InvalidOption, match="exactly 1 output; got 1 inputs and 2 outputs"):
        bind(total, 1, 2, [])
    with pytest.raises(InvalidOption, match=r"at most 1 inputs \(v\); got 2"):
        bind(total, 2, 1, [])
    z = np.zeros(1)
    with pytest.raises(CompileError, match="output cannot be one of its inputs"):
        call(total, [z], [z])
