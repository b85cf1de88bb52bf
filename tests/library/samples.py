"""Input data with the values that break kernels, and exact comparison."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .native import Array

SIZES = (0, 1, 7, 8, 9, 127, 128, 129, 1000, 4097)


def specials(dtype: str) -> Array:
    """Extremes, zeros of both signs, NaN, infinities, subnormals."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.array([False, True])
    if kind in "iu":
        info = np.iinfo(dtype)
        return np.array([info.min, info.max, 0, 1, info.max // 2 + 1], dtype)
    if kind == "f":
        info_f = np.finfo(dtype)
        tiny = info_f.smallest_subnormal
        finite = [0.0, -0.0, 1.0, -1.5, info_f.max, info_f.min, info_f.tiny, tiny, -tiny]
        return np.array([*finite, np.nan, np.inf, -np.inf], dtype)
    parts = specials("float32" if dtype == "complex64" else "float64")
    return (parts[:, None] + np.zeros_like(parts) * 1j).astype(dtype).ravel()


def random(dtype: str, size: int, seed: int) -> Array:
    """Ordinary values: the integer's whole range, floats around 1 with both signs."""
    rng = np.random.default_rng([seed, size])
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, size).astype(bool)
    if kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, size, dtype=dtype, endpoint=True)
    if kind == "f":
        return rng.normal(size=size).astype(dtype)
    return (rng.normal(size=size) + 1j * rng.normal(size=size)).astype(dtype)


def mixed(dtype: str, size: int, seed: int) -> Array:
    """Ordinary values with about one special in four, at seeded places."""
    values = random(dtype, size, seed)
    rng = np.random.default_rng([seed, size, 1])
    places = rng.random(size) < 0.25
    values[places] = rng.choice(specials(dtype), int(places.sum()))
    return values


def slices_of(size: int) -> list[tuple[int, int]]:
    """Uneven slices that cover the range once: an odd start, then blocks of 1,000."""
    edges = sorted({0, min(3, size), *range(min(3, size), size, 1000), size})
    return list(pairwise(edges)) or [(0, 0)]


def assert_same_bits(got: Array, expected: Array, what: object) -> None:
    """Equal bit for bit, but any NaN equals any other (their payloads are the CPU's choice)."""
    assert got.dtype == expected.dtype and got.shape == expected.shape, what
    parts = [(got, expected)]
    if got.dtype.kind == "c":
        parts = [(got.real, expected.real), (got.imag, expected.imag)]
    for a, b in parts:
        if a.dtype.kind != "f":
            differs = a != b
        else:
            bits = f"u{a.dtype.itemsize}"
            differs = np.ascontiguousarray(a).view(bits) != np.ascontiguousarray(b).view(bits)
            differs &= ~(np.isnan(a) & np.isnan(b))
        wrong = np.flatnonzero(differs)
        assert wrong.size == 0, (
            f"{what}: {wrong.size} of {a.size} differ, first at {wrong[0]}: "
            f"{got.flat[wrong[0]]!r}, expected {expected.flat[wrong[0]]!r}"
        )


def assert_within_ulp(got: Array, expected: Array, ulp: int, what: object) -> None:
    """At most `ulp` representable numbers apart; NaN and infinities at the same places."""
    assert got.dtype == expected.dtype and got.shape == expected.shape, what
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite], str(what))
    signed = f"i{got.dtype.itemsize}"
    lowest = np.iinfo(signed).min
    order = [bits if bits >= 0 else lowest - bits for bits in got[finite].view(signed).tolist()]
    wanted = [
        bits if bits >= 0 else lowest - bits for bits in expected[finite].view(signed).tolist()
    ]
    apart = [abs(a - b) for a, b in zip(order, wanted, strict=True)]
    assert not apart or max(apart) <= ulp, f"{what}: {max(apart)} ulp apart"
