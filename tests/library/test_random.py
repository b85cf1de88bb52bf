"""Random numbers: Philox's published vectors, the same stream for any slices, the right laws."""

from __future__ import annotations

import numpy as np
import pytest

from .native import Array, Library
from .samples import assert_same_bits, slices_of

NAMES = ("kernels/RandomUniform", "kernels/RandomNormal")


def draw(
    library: Library, name: str, dtype: str, size: int, seed: int, offset: int, isa: str | None = None
) -> Array:
    z = np.empty(size, dtype)
    native = library.get(name, (dtype,), (0,), isa)
    params = {"seed": np.uint64(seed), "offset": np.uint64(offset)}
    native.run([z], params=params, slices=slices_of(size))
    return z


def test_words_are_philox4x32_10(library: Library) -> None:
    """Catches a wrong round, constant or word order, by the known answers of Random123.

    Counter 0, key 0 gives 6627e8d5 e169c58d bc57ac4c 9b00dbd8; the uniform of lane w is its top
    24 bits.
    """
    words = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint64)
    expected = (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    for isa in library.rows:
        assert_same_bits(draw(library, NAMES[0], "float32", 4, 0, 0, isa), expected, isa)
    pairs = words[1::2] << np.uint64(32) | words[::2]
    wide = (pairs >> np.uint64(11)).astype(np.float64) * 2.0**-53
    assert_same_bits(draw(library, NAMES[0], "float64", 2, 0, 0), wide, "float64")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_depends_on_seed_and_position_alone(
    library: Library, name: str, dtype: str
) -> None:
    """Catches numbers that change with slices, offsets, vector width, or a block's start."""
    whole = draw(library, name, dtype, 4097, 7, 0)
    for isa in library.rows:
        for offset in (0, 1, 2, 3, 5, 1000):
            part = draw(library, name, dtype, 4097 - offset, 7, offset, isa)
            assert_same_bits(part, whole[offset:], f"{name} {isa} offset={offset}")
    assert not np.array_equal(whole, draw(library, name, dtype, 4097, 8, 0))
    assert not np.array_equal(whole, draw(library, name, dtype, 4097, 7 + 2**32, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_is_uniform(library: Library, dtype: str) -> None:
    x = draw(library, NAMES[0], dtype, 400_000, 1, 0)
    assert x.min() >= 0
    assert x.max() < 1
    counts, _ = np.histogram(x, 100, (0, 1))
    # chi squared, 99 degrees of freedom: beyond 170 once in 100,000; the seed is fixed.
    assert ((counts - 4000.0) ** 2 / 4000).sum() < 170


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_is_normal_and_pairs_are_independent(library: Library, dtype: str) -> None:
    """Catches a wrong radius, a quadrant's sign, sine where cosine should be."""
    x = draw(library, NAMES[1], dtype, 400_000, 1, 0).astype(np.float64)
    assert np.isfinite(x).all()
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - moment) < 4 * np.sqrt(spread / x.size)
    even, odd = x[::2], x[1::2]
    for a, b in ((even, odd), (even**2, odd**2), (np.abs(even), odd)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(even.size)
    quadrants = np.bincount((even > 0) * 2 + (odd > 0), minlength=4)
    assert (np.abs(quadrants - even.size / 4) < 4 * np.sqrt(even.size * 3 / 16)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_is_box_muller_of_the_uniforms(library: Library, dtype: str) -> None:
    """Catches an error in our own logarithm, sine or cosine that statistics would not show."""
    u = draw(library, NAMES[0], dtype, 20_000, 3, 0).astype(np.float64)
    x = draw(library, NAMES[1], dtype, 20_000, 3, 0)
    radius = np.sqrt(-2 * np.log1p(-u[::2]))
    expected = np.stack([radius * np.cos(2 * np.pi * u[1::2]), radius * np.sin(2 * np.pi * u[1::2])])
    tolerance = 1e-7 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(x.reshape(-1, 2).T, expected, tolerance, tolerance)
