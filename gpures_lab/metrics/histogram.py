"""Reading the log-linear latency histograms that the native engine keeps.

A value ``v`` in nanoseconds is counted in one of 496 buckets::

    v < 16      bucket v                                             exact
    otherwise   16 + (e - 4) * 8 + ((v >> (e - 3)) & 7)              e = floor(log2 v)

so every power of two is cut into eight equal parts. A percentile is the *upper bound* of the
bucket that holds it: never too low, and at most 12.5 % too high.

A grain counts its service times in buckets twice as wide, and only in the range that occurred:
`of_grain` reads those.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BUCKETS",
    "RELATIVE_ERROR",
    "bucket_of",
    "difference",
    "of_grain",
    "percentile",
    "percentiles",
    "upper_bound_ns",
]

EXACT: Final = 16
BUCKETS: Final = EXACT + 60 * 8
RELATIVE_ERROR: Final = 0.125


def bucket_of(value_ns: int) -> int:
    """Bucket that counts ``value_ns``, 0 to 2**64 - 1."""
    if value_ns < EXACT:
        return value_ns
    exponent = value_ns.bit_length() - 1
    return EXACT + (exponent - 4) * 8 + ((value_ns >> (exponent - 3)) & 7)


def upper_bound_ns(bucket: int) -> int:
    """Greatest value that ``bucket`` counts."""
    if bucket < EXACT:
        return bucket
    octave, eighth = divmod(bucket - EXACT, 8)
    return ((8 + eighth + 1) << (octave + 1)) - 1


def percentile(counts: NDArray[np.uint64], percent: float) -> int | None:
    """Smallest bound that at least ``percent`` of the counted values do not exceed.

    Parameters
    ----------
    counts
        One count per bucket.
    percent
        Above 0, at most 100; taken to three decimals, so 99.9 is exactly 99.9.

    Returns
    -------
    int or None
        Nanoseconds; ``None`` when nothing was counted.
    """
    (found,) = percentiles(counts, percent)
    return found


def percentiles(counts: NDArray[np.uint64], *percents: float) -> list[int | None]:
    """Several of them, over one running sum."""
    running = np.cumsum(counts, dtype=np.uint64)
    total = int(running[-1])
    if total == 0:
        return [None] * len(percents)
    # Exact arithmetic: 0.07 * 100 is 7.000000000000001 in floats, which is the wrong rank.
    ranks = [max(1, math.ceil(total * _exact(percent) / 100)) for percent in percents]
    found = np.searchsorted(running, np.array(ranks, np.uint64))
    return [upper_bound_ns(bucket) for bucket in found.tolist()]


@cache
def _exact(percent: float) -> Fraction:
    return Fraction(percent).limit_denominator(1000)


def difference(newer: NDArray[np.uint64], older: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """What was counted between two snapshots of one histogram.

    Raises
    ------
    ValueError
        A count fell, so the two are not of one histogram; unsigned subtraction would have
        turned that into 1.8e19 messages.
    """
    if np.any(newer < older):
        bucket = int(np.argmax(newer < older))
        raise ValueError(
            f"bucket {bucket} fell from {int(older[bucket])} to {int(newer[bucket])}: "
            "these snapshots are not of one engine"
        )
    return newer - older


def of_grain(packed: bytes) -> NDArray[np.uint64]:
    """Read a grain's counts: the number of its first bucket, then one count per pair of buckets.

    Each pair counts as its upper bucket: a percentile is at most 25 % too high, never too low.
    """
    first, *_ = given = np.frombuffer(packed, np.uint64)
    counts = np.zeros(BUCKETS, np.uint64)
    paired = counts[1::2]
    paired[int(first) : int(first) + len(given) - 1] = given[1:]
    return counts
