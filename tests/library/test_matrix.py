"""Gemv, Gemm and the heat stencil, and what they say of shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from .native import Array, Library
from .samples import assert_same_bits, random

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

SHAPES = [(1, 1, 1), (3, 5, 2), (17, 129, 9), (64, 64, 64), (5, 0, 3), (2, 300, 33), (7, 9, 70)]


def matrix(dtype: str, rows: int, columns: int, seed: int) -> Array:
    return random(dtype, rows * columns, seed).reshape(rows, columns)


def halves(rows: int) -> list[tuple[int, int]]:
    return [(0, rows // 2), (rows // 2, rows)]


def test_gemv_rows_are_dots(library: Library) -> None:
    """Catches a row start that uses the wrong extent; each row is bit for bit a pairwise sum."""
    for native in library.select("kernels/Gemv"):
        dtype = native.row.dtypes[0]
        for rows, columns, _ in SHAPES:
            a, x = matrix(dtype, rows, columns, 1), random(dtype, columns, 2)
            z = np.full(rows, 9, dtype)
            assert native.run([a, x, z], shape=(rows,), slices=halves(rows)) == [0] * 8
            expected = np.array([np.sum(row * x, dtype=dtype) for row in a], dtype)
            assert_same_bits(z, expected, f"{native} {rows}x{columns}")


def in_order(a: Array, b: Array) -> Array:
    """The product with each sum added in order of k."""
    z: Array = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        # A full array of factors: NumPy's scalar loops round complex products differently.
        z = z + np.repeat(a[:, k], b.shape[1]).reshape(z.shape) * np.tile(b[k], (len(a), 1))
    return z


def test_gemm_adds_in_order_of_k(library: Library) -> None:
    """Catches a reordered or fused sum, a transposed index, a slice that clears other rows."""
    for native in library.select("kernels/Gemm"):
        dtype = native.row.dtypes[0]
        for rows, inner, columns in SHAPES:
            if native.row.same == (0, 0, 2):
                a = matrix(dtype, rows, rows, 3)
                arrays, expected = [a], in_order(a, a)
            else:
                a, b = matrix(dtype, rows, inner, 4), matrix(dtype, inner, columns, 5)
                arrays, expected = [a, b], in_order(a, b)
            z = np.full(expected.shape, 9, dtype)
            fault = native.run([*arrays, z], shape=z.shape, slices=halves(rows))
            assert fault == [0] * 8
            assert_same_bits(z, expected, f"{native} {rows}x{inner}x{columns}")


def test_shapes_that_do_not_fit_are_reported_and_nothing_is_written(library: Library) -> None:
    """Catches a read past the end of a small input, and a number made of a part of a large one."""
    a, x, z = np.ones((3, 4)), np.ones(3), np.full(3, 9.0)
    gemv = library.get("kernels/Gemv", ("float64",) * 3, (0, 1, 2))
    assert gemv.run([a, x, z], shape=(3,))[:5] == [2, 1, 0, 4, 3]
    assert gemv.run([a, np.ones(4), np.full(5, 9.0)], shape=(5,))[:5] == [2, 0, 0, 5, 3]
    gemm = library.get("kernels/Gemm", ("float64",) * 3, (0, 1, 2), indices=2)
    square = np.full((3, 5), 9.0)
    assert gemm.run([a, np.ones((2, 5)), square], shape=(3, 5))[:5] == [2, 1, 0, 4, 2]
    assert gemm.run([a, np.ones((4, 4)), square], shape=(3, 5))[:5] == [2, 1, 1, 5, 4]
    assert gemm.run([a[:2], np.ones((4, 5)), square], shape=(3, 5))[:5] == [2, 0, 0, 3, 2]
    assert gemv.run([a, np.ones(5), z], shape=(3,))[:5] == [2, 1, 0, 4, 5]
    assert gemv.run([np.ones((5, 4)), np.ones(4), z], shape=(3,))[:5] == [2, 0, 0, 3, 5]
    assert gemm.run([a, np.ones((5, 5)), square], shape=(3, 5))[:5] == [2, 1, 0, 4, 5]
    assert gemm.run([a, np.ones((4, 6)), square], shape=(3, 5))[:5] == [2, 1, 1, 5, 6]
    assert gemm.run([a, np.ones((4, 5)), square], shape=(3, 4))[:5] == [2, 2, 1, 4, 5]
    stencil = library.get("kernels/Stencil", ("float64",) * 2, (0, 1), indices=2)
    words = stencil.run([a, square], params={"alpha": 0.1}, shape=(3, 5))
    assert words[:5] == [2, 0, 1, 5, 4]
    assert (z == 9).all()
    assert (square == 9).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (7, 2), (3, 3), (33, 70), (0, 4)])
def test_heat_step_moves_inner_points_and_keeps_the_border(
    library: Library, shape: tuple[int, int]
) -> None:
    """Catches a border that moves, a neighbour of the wrong row, a slice that forgets the rest."""
    for native in library.select("kernels/Stencil"):
        dtype = native.row.dtypes[0]
        u = matrix(dtype, *shape, 6)
        v = np.full(shape, 9, dtype)
        native.run([u, v], params={"alpha": 0.2}, shape=shape, slices=halves(shape[0]))
        expected = u.copy()
        alpha = u.dtype.type(0.2)
        around = (u[:-2, 1:-1] + u[2:, 1:-1]) + (u[1:-1, :-2] + u[1:-1, 2:])
        expected[1:-1, 1:-1] = u[1:-1, 1:-1] + alpha * (around - 4 * u[1:-1, 1:-1])
        assert_same_bits(v, expected, f"{native} {shape}")
