"""Scan, Histogram, Gather and Scatter against NumPy, and what they report."""

from __future__ import annotations

import numpy as np
import pytest

from .native import Array, Library
from .samples import SIZES, assert_same_bits, mixed, random, slices_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def test_scan_equals_cumsum_across_slices(library: Library) -> None:
    """Catches a slice that starts from zero, another accumulator dtype, a lost leading -0."""
    for native in library.select("kernels/Scan"):
        source, target = native.row.dtypes
        for size in SIZES:
            for x in (random(source, size, 1), mixed(source, size, 2), -np.ones(size) * 0.0):
                data = x.astype(source)
                expected = np.cumsum(data)
                assert expected.dtype.name == target
                z = data.copy() if native.row.same == (0, 0) else np.zeros(size, target)
                arrays = [z] if native.row.same == (0, 0) else [data, z]
                native.run(arrays, shape=(size,), slices=slices_of(size))
                assert_same_bits(z, expected, f"{native} n={size}")


@pytest.mark.parametrize("bins", [1, 3, 10, 64])
def test_histogram_equals_numpy_with_float64_edges(library: Library, bins: int) -> None:
    """Catches values on an edge in the wrong bin, an open last bin, NaN or outliers counted."""
    for native in library.select("kernels/Histogram"):
        source = native.row.dtypes[0]
        for size in SIZES:
            for lo, hi in ((-1.0, 1.0), (0.1, 0.7), (0, 100), (-3, 2)):
                x = mixed(source, size, 3)
                if x.dtype.kind == "f" and size > 3 * bins:
                    x[: bins + 1] = np.linspace(lo, hi, bins + 1)
                    x[bins + 1 : 2 * bins + 2] = np.nextafter(x[: bins + 1], x.dtype.type(-9))
                z = np.full(bins, 99, np.int64)
                native.run([x, z], params={"lo": lo, "hi": hi}, slices=slices_of(size))
                wide = x.astype(np.float64)
                counts, _ = np.histogram(wide[np.isfinite(wide)], bins, (lo, hi))
                assert_same_bits(z, counts, f"{native} n={size} {lo}..{hi}")


def test_histogram_of_an_empty_range_counts_nothing(library: Library) -> None:
    """Catches a division by zero in the bin index."""
    native = library.get("kernels/Histogram", ("float64", "int64"), (0, 1))
    for lo, hi in ((1.0, 1.0), (2.0, 1.0), (np.nan, 1.0)):
        z = np.full(4, 99, np.int64)
        assert native.run([np.ones(9), z], params={"lo": lo, "hi": hi})[0] == 0
        assert z.tolist() == [0, 0, 0, 0]


def indices(size: int, extent: int) -> Array:
    return np.random.default_rng(size).integers(0, extent, size)


def test_gather_equals_take(library: Library) -> None:
    """Catches indices of the wrong array when equal handles stand at two places."""
    for native in library.select("kernels/Gather"):
        dtype, same = native.row.dtypes[0], native.row.same
        for size in SIZES:
            if same == (0, 0, 2):
                x = indices(size, max(size, 1))
                z = np.zeros(size, dtype)
                native.run([x, z], shape=(size,), slices=slices_of(size))
                assert_same_bits(z, x[x], str(native))
                continue
            x, index = mixed(dtype, 77, 4), indices(size, 77)
            z = index.copy() if same == (0, 1, 1) else np.zeros(size, dtype)
            arrays = [x, z] if same == (0, 1, 1) else [x, index, z]
            fault = native.run(arrays, shape=(size,), slices=slices_of(size))
            assert_same_bits(z, x[index], str(native))
            assert fault == [0] * 8


def test_gather_reports_the_first_index_outside_and_gives_zero(library: Library) -> None:
    """Catches Python's negative indices, an off-by-one at the end, a later fault reported.

    Of a block's threads any one may be the first.
    """
    for isa in library.rows:
        native = library.get("kernels/Gather", ("float32", "int64", "float32"), (0, 1, 2), isa)
        x = np.arange(1, 11, dtype=np.float32)
        index = np.array([9, 10, -1, 0, 2**62])
        z = np.full(5, 99, np.float32)
        fault = native.run([x, index, z])[:5]
        reported = [10, -1, 2**62] if library.block else [10]
        assert fault in [[1, 0, -1, at, 10] for at in reported]
        assert z.tolist() == [10, 0, 0, 1, 0]


def test_scatter_writes_in_order_and_reports_what_is_outside(library: Library) -> None:
    """Catches a write before or past the output, and an earlier of two equal indices winning."""
    for native in library.select("kernels/Scatter"):
        dtype = native.row.dtypes[0]
        if native.row.same != (0, 1, 2):
            continue
        x, index = mixed(dtype, 1000, 5), indices(1000, 300)
        z = mixed(dtype, 320, 6)
        expected = z.copy()
        expected[index] = x
        assert native.run([x, index, z], slices=slices_of(1000)) == [0] * 8
        assert_same_bits(z, expected, str(native))
        window = z[10:20]
        before = z.copy()
        index = np.array([-1, 10, 3])
        fault = native.run([x[:3].copy(), index, window])
        assert fault[:5] in [[1, 2, -1, at, 10] for at in ([-1, 10] if library.block else [-1])]
        before[13] = x[2]
        assert_same_bits(z, before, str(native))


def test_scatter_of_an_array_by_itself(library: Library) -> None:
    native = library.get("kernels/Scatter", ("int64", "int64", "int64"), (0, 0, 2))
    x, z = np.array([2, 0, 1]), np.zeros(3, np.int64)
    native.run([x, z], shape=(3,))
    assert z.tolist() == [0, 1, 2]
