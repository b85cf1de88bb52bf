"""Softmax, LayerNorm and Sort along the last axis, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from .native import Array, Library, NativeRow
from .samples import SIZES, mixed, random

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

SHAPES: dict[int, list[tuple[int, ...]]] = {
    1: [(1,), (9,), (1000,), (0,)],
    2: [(1, 1), (7, 33), (20, 300), (4, 0)],
    3: [(2, 3, 5), (5, 4, 129)],
}


def run(native: NativeRow, x: Array, *more: Array, **params: object) -> Array:
    """In place or not, in two slices of the first index."""
    x = x.copy()
    z = x if native.row.same[-1] == 0 else np.full(x.shape, 9, x.dtype)
    arrays = [x, *more] if z is x else [x, *more, z]
    half = x.shape[0] // 2
    fault = native.run(arrays, params=params, shape=x.shape, slices=[(0, half), (half, x.shape[0])])
    assert fault == [0] * 8
    return z


def test_softmax_of_each_row(library: Library) -> None:
    """Catches rows that run into each other, an overflow of exp, a slice of one long row."""
    for native in library.select("kernels/Softmax"):
        dtype = native.row.dtypes[0]
        for shape in SHAPES[native.row.indices]:
            for scale in (1, 500):
                x = random(dtype, int(np.prod(shape)), 1).reshape(shape) * np.dtype(dtype).type(
                    scale
                )
                wide = x.astype(np.longdouble)
                e = np.exp(wide - wide.max(axis=-1, keepdims=True, initial=-np.inf))
                expected = e / e.sum(axis=-1, keepdims=True)
                got = run(native, x)
                # exp turns half an ulp of x - max, which grows with scale, into relative error.
                tolerance = float((16 + 2 * scale) * np.finfo(dtype).eps)
                np.testing.assert_allclose(got, expected, tolerance, float(np.finfo(dtype).tiny))


def test_layer_norm_of_each_row(library: Library) -> None:
    """Catches a one-pass variance, eps or weight of the wrong column, n - 1 in the divisor."""
    for native in library.select("kernels/LayerNorm"):
        dtype = native.row.dtypes[0]
        for shape in SHAPES[native.row.indices]:
            x = random(dtype, int(np.prod(shape)), 2).reshape(shape) + np.dtype(dtype).type(100)
            weight, bias = random(dtype, shape[-1], 3), random(dtype, shape[-1], 4)
            wide = x.astype(np.longdouble)
            mean = wide.mean(axis=-1, keepdims=True)
            variance = wide.var(axis=-1, keepdims=True)
            eps = np.dtype(dtype).type(1e-3)
            expected = (wide - mean) / np.sqrt(variance + eps) * weight + bias
            got = run(native, x, weight, bias, eps=eps)
            # The mean of numbers near 100 is rounded at 100's ulp: that bounds what is left.
            tolerance = float(4000 * np.finfo(dtype).eps)
            np.testing.assert_allclose(got, expected, tolerance, tolerance, err_msg=str(native))


def test_layer_norm_reports_a_short_weight(library: Library) -> None:
    native = library.get("kernels/LayerNorm", ("float32",) * 4, (0, 1, 2, 3), indices=2)
    x, z = np.ones((2, 5), np.float32), np.full((2, 5), 9, np.float32)
    short, long = np.ones(4, np.float32), np.ones(5, np.float32)
    assert native.run([x, short, long, z], params={"eps": 1}, shape=(2, 5))[:5] == [2, 1, 0, 5, 4]
    assert native.run([x, long, short, z], params={"eps": 1}, shape=(2, 5))[:5] == [2, 2, 0, 5, 4]
    assert (z == 9).all()


def test_sort_equals_numpy(library: Library) -> None:
    """Catches NaN of either sign not last, signed order in unsigned types, a lost element."""
    for native in library.select("kernels/Sort"):
        dtype = native.row.dtypes[0]
        for size in SIZES:
            x = mixed(dtype, size, 5)
            if x.dtype.kind == "f" and size > 8:
                x[3], x[7] = np.nan, -np.nan
            for data in (x, np.sort(x), np.sort(x)[::-1].copy(), np.ones(size, dtype)):
                z = data.copy() if native.row.same == (0, 0) else np.full(size, 1, dtype)
                arrays = [z] if native.row.same == (0, 0) else [data.copy(), z]
                native.run(arrays, shape=(size,))
                np.testing.assert_array_equal(z, np.sort(data), f"{native} n={size}")
