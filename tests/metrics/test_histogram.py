"""Reading histograms: buckets cover every value once, percentiles never flatter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpures_lab.metrics.histogram import (
    BUCKETS,
    RELATIVE_ERROR,
    bucket_of,
    difference,
    percentile,
    upper_bound_ns,
)

VALUES = st.integers(0, 2**64 - 1) | st.integers(0, 5000)


def test_the_layout_is_the_native_one() -> None:
    """Would catch: a layout that differs from the engine's, which shifts every latency."""
    assert BUCKETS == 496
    by_hand = {0: 0, 15: 15, 16: 16, 17: 16, 18: 17, 31: 23, 32: 24, 35: 24, 36: 25, 1000: 63}
    assert {value: bucket_of(value) for value in by_hand} == by_hand
    assert bucket_of(2**64 - 1) == BUCKETS - 1
    assert upper_bound_ns(BUCKETS - 1) == 2**64 - 1


def test_buckets_follow_each_other_without_gap() -> None:
    for bucket in range(BUCKETS - 1):
        bound = upper_bound_ns(bucket)
        assert bucket_of(bound) == bucket
        assert bucket_of(bound + 1) == bucket + 1


@given(VALUES)
def test_the_bound_is_at_most_an_eighth_too_high(value: int) -> None:
    bound = upper_bound_ns(bucket_of(value))
    assert value <= bound <= value * (1 + RELATIVE_ERROR)


@given(st.lists(VALUES, min_size=1, max_size=60), st.sampled_from([1, 7, 50, 95, 99, 99.9, 100]))
def test_a_percentile_is_the_bound_of_the_value_at_that_rank(
    values: list[int], percent: float
) -> None:
    """Would catch: a rank off by one, and float arithmetic in the rank."""
    counts = np.zeros(BUCKETS, np.uint64)
    for value in values:
        counts[bucket_of(value)] += 1
    tenths = round(percent * 10)
    rank = max(1, -(-len(values) * tenths // 1000))
    assert percentile(counts, percent) == upper_bound_ns(bucket_of(sorted(values)[rank - 1]))


def test_the_rank_is_not_rounded_up_by_floats() -> None:
    """Would catch: ceil(100 * 0.07) = 8, because 0.07 is a little more than 0.07."""
    counts = np.zeros(BUCKETS, np.uint64)
    counts[3], counts[9] = 7, 93
    assert math.ceil(100 * 0.07) == 8
    assert percentile(counts, 7) == 3


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile(np.zeros(BUCKETS, np.uint64), 50) is None


def test_difference_counts_the_window() -> None:
    older, newer = np.zeros(BUCKETS, np.uint64), np.zeros(BUCKETS, np.uint64)
    older[5], newer[5], newer[7] = 3, 4, 2
    window = difference(newer, older)
    assert (int(window[5]), int(window[7]), int(window.sum())) == (1, 2, 3)


def test_difference_refuses_counts_that_fell() -> None:
    """Would catch: unsigned subtraction wrapping to 1.8e19 messages after a restart."""
    older, newer = np.zeros(BUCKETS, np.uint64), np.zeros(BUCKETS, np.uint64)
    older[5] = 1
    with pytest.raises(ValueError, match="bucket 5 fell from 1 to 0"):
        difference(newer, older)
