"""Sum equals np.sum bit for bit, Min, Max and ArgMin NumPy's order, Dot a pairwise sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .native import Array, Library, NativeRow
from .samples import SIZES, assert_same_bits, mixed, random, slices_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

SUM_SIZES = (*SIZES, 15, 16, 17, 64, 136, 255, 256, 257, 1023, 8191, 8192, 65537, 1_000_000)


def reduce(native: NativeRow, *inputs: Array) -> tuple[Array, list[int]]:
    """Run over slices; the output has a poisoned neighbour that must stay."""
    row = native.row
    x = inputs[0]
    distinct = [inputs[p].copy() for p in range(row.inputs) if row.same[p] == p]
    place = row.same[row.inputs]
    if place == row.inputs:
        output = mixed(row.dtypes[-1], 2, seed=77)
        distinct.append(output)
    else:
        output = distinct[[p for p in range(row.inputs) if row.same[p] == p].index(place)]
    rest = output[1:].copy()
    fault = native.run(distinct, shape=(x.size,), slices=slices_of(x.size))
    assert_same_bits(output[1:], rest, f"{native}: past the output")
    return output[:1], fault


def aliased(native: NativeRow, inputs: list[Array]) -> list[Array]:
    """Equal handles hold equal data."""
    return [inputs[native.row.same[p]] for p in range(native.row.inputs)]


def test_sum_equals_numpy_bit_for_bit(library: Library) -> None:
    """Catches another summation order, a vectorized reassociation, a wrong output dtype."""
    for native in library.select("kernels/Sum"):
        source, target = native.row.dtypes
        for size in SUM_SIZES:
            if size == 0 and native.row.same == (0, 0):
                continue
            for x in (random(source, size, 5), mixed(source, size, 6)):
                expected = np.array([np.sum(x)])
                assert expected.dtype.name == target
                got, fault = reduce(native, x)
                assert_same_bits(got, expected, f"{native} n={size}")
                assert fault == [0] * 8


def test_sum_of_negative_zeros_is_zero_as_in_numpy(library: Library) -> None:
    for dtype in ("float32", "float64", "complex64", "complex128"):
        x = -np.zeros(9, dtype)
        got, _ = reduce(library.get("kernels/Sum", (dtype, dtype), (0, 1)), x)
        assert_same_bits(got, np.array([np.sum(x)]), dtype)


@pytest.mark.parametrize(("name", "reference"), [("kernels/Min", np.min), ("kernels/Max", np.max)])
def test_extremes_propagate_nan_and_cover_slices(
    library: Library, name: str, reference: object
) -> None:
    """Catches an accumulator that starts anew in a later slice, and NaN lost in a comparison."""
    assert callable(reference)
    for native in library.select(name):
        dtype = native.row.dtypes[0]
        for size in SIZES[1:]:
            for x in cases(dtype, size):
                got, fault = reduce(native, x)
                expected = np.array([reference(x)], dtype)
                equal = np.array_equal(got, expected, equal_nan=True) or both_nan(got, expected)
                assert equal, (str(native), size, got, expected)
                assert fault == [0] * 8


def both_nan(a: Array, b: Array) -> bool:
    return bool(a.dtype.kind in "fc" and np.isnan(a).all() and np.isnan(b).all())


def cases(dtype: str, size: int) -> list[Array]:
    """Random, with specials, constant, extreme last, and a NaN of each sign at the end."""
    found = [random(dtype, size, 11), mixed(dtype, size, 12), np.full(size, 1, dtype)]
    values = random(dtype, size, 13)
    order = np.sort(values)
    found += [order, order[::-1].copy()]
    if np.dtype(dtype).kind in "fc":
        for nan in (np.nan, -np.nan):
            last = values.copy()
            last[-1] = nan
            first = values.copy()
            first[0] = nan
            found += [last, first]
        no_nan = mixed(dtype, size, 14)
        no_nan[np.isnan(no_nan)] = 0
        found.append(no_nan)
    return found


def test_min_of_zeros_is_the_negative_one_whatever_the_order(library: Library) -> None:
    """Catches a result that depends on vector width: NumPy leaves the sign open, we do not."""
    for native in library.select("kernels/Min"):
        dtype = native.row.dtypes[0]
        if np.dtype(dtype).kind == "f":
            for place in (0, 5, 40):
                x = np.zeros(41, dtype)
                x[place] = -0.0
                got, _ = reduce(native, x)
                assert np.signbit(got[0]), (str(native), place)


def test_argmin_is_the_first_minimum_and_nan_counts(library: Library) -> None:
    """Catches the last of equal minima, a NaN that never compares, a lost index between slices."""
    for native in library.select("kernels/ArgMin"):
        dtype = native.row.dtypes[0]
        for size in SIZES[1:]:
            for x in cases(dtype, size):
                got, _ = reduce(native, x)
                assert got[0] == np.argmin(x), (str(native), size)
        if np.dtype(dtype).kind == "f":
            got, _ = reduce(native, np.array([1, 0.0, -0.0, 0.0], dtype))
            assert got[0] == 1


@pytest.mark.parametrize("name", ["kernels/Min", "kernels/Max", "kernels/ArgMin"])
def test_extreme_of_nothing_is_reported(library: Library, name: str) -> None:
    """Catches a made-up value: there is no element 0 of 0, and the output stays as it was."""
    for native in library.select(name):
        if native.row.same == (0, 1):
            x = np.empty(0, native.row.dtypes[0])
            z = np.full(1, 1, native.row.dtypes[1])
            assert native.run([x, z], shape=(0,))[:5] == [1, 0, -1, 0, 0]
            assert z[0] == 1


def pairwise(terms: Array) -> Any:
    """NumPy's own pairwise order over the products."""
    return np.sum(terms)


def test_dot_of_floats_sums_products_pairwise(library: Library) -> None:
    """Catches fused products and another order; a float64 reference bounds the error as well."""
    for native in library.select("kernels/Dot"):
        dtype = native.row.dtypes[0]
        if np.dtype(dtype).kind not in "fc":
            continue
        for size in SUM_SIZES:
            if size == 0 and native.row.same != (0, 1, 2):
                continue
            x, y = aliased(native, [random(dtype, size, 21), random(dtype, size, 22)])
            got, _ = reduce(native, x, y)
            assert_same_bits(got, np.array([pairwise(x * y)], dtype), f"{native} n={size}")
            wide = np.dtype("complex128" if np.dtype(dtype).kind == "c" else "float64")
            exact = np.sum(x.astype(wide) * y.astype(wide))
            scale = np.sum(np.abs(x.astype(wide) * y.astype(wide)))
            assert abs(got[0] - exact) <= 32 * np.finfo(dtype).eps * scale, (str(native), size)


def test_dot_of_integers_and_bools_equals_numpy(library: Library) -> None:
    """Catches widening: np.dot wraps in the arrays' own dtype, bool asks whether any pair is."""
    for native in library.select("kernels/Dot"):
        dtype = native.row.dtypes[0]
        if np.dtype(dtype).kind in "fc":
            continue
        for size in SIZES:
            if size == 0 and native.row.same != (0, 1, 2):
                continue
            x, y = aliased(native, [random(dtype, size, 23), random(dtype, size, 24)])
            got, _ = reduce(native, x, y)
            assert_same_bits(got, np.array([np.dot(x, y)], dtype), f"{native} n={size}")
