"""Kernels in several launches give the bits of one block, however many blocks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from . import native
from .samples import assert_same_bits, mixed, random

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .native import Array, Library, NativeRow

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

LONG = 70_003  # more parts than blocks, tiles of every key, and a last one that is short
IN_ONE_BLOCK = {("kernels/Scan", dtype) for dtype in ("float32", "float64")} | {
    ("kernels/Scan", dtype) for dtype in ("complex64", "complex128")
}
ANY_BLOCKS = {"kernels/Gather", "kernels/Gemm", "kernels/Stencil"}
"""No thread waits for another: one launch over the whole device does."""


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest) -> tuple[Library, Library]:
    """Return the library on one block, and in passes."""
    cxx = native.compiler()
    if cxx is None:
        pytest.skip("no C++ compiler: install g++, or set CXX")
    path = native.build(cxx, request.config.cache.mkdir("library-build"), block=True)
    return native.Library(path, block=True), native.Library(path, block=True, passes=True)


def pairs(both: tuple[Library, Library], name: str) -> Iterator[tuple[NativeRow, NativeRow]]:
    yield from (
        zip(both[0].rows["baseline"], both[1].rows["baseline"], strict=True)
        if (not name)
        else zip(*(library.select(name) for library in both), strict=True)
    )


def test_what_one_block_still_does_alone(both: tuple[Library, Library]) -> None:
    """Catches a kernel that silently lost the form: a float scan has one order, no other has."""
    alone = {
        (row.row.name, row.row.dtypes[0])
        for row, _ in pairs(both, "")
        if not (row.in_passes or row.row.is_map or row.row.name in ANY_BLOCKS)
    }
    assert alone == IN_ONE_BLOCK


def same(
    rows: tuple[NativeRow, NativeRow], arrays: list[Array], shape: tuple[int, ...], **params: object
) -> None:
    """Run both over copies and compare every array."""
    copies = [[array.copy() for array in arrays] for _ in rows]
    faults = [
        row.run(given, params=params, shape=shape) for row, given in zip(rows, copies, strict=True)
    ]
    assert faults[0] == faults[1]
    for one, many in zip(*copies, strict=True):
        assert_same_bits(many, one, f"{rows[0]} {shape}")


def flat(row: NativeRow, size: int, out: int) -> list[Array]:
    """Arrays of a call over `size` elements; the output has `out`."""
    made = []
    for place, first in enumerate(row.row.same):
        if place == first:
            is_input = place < row.row.inputs
            dtype = row.row.dtypes[place]
            # Also what breaks an order: signed zeros, infinities.
            values = mixed if dtype.startswith("int") or place == 0 else random
            made.append(values(dtype, size if is_input or out < 0 else out, 3 + place))
    return made


@pytest.mark.parametrize(
    "name",
    ["Sum", "Dot", "Mean", "Norm", "Min", "Max", "ArgMin"],
)
@pytest.mark.parametrize("size", [1, 4096, LONG])
def test_reductions(both: tuple[Library, Library], name: str, size: int) -> None:
    """Catches another tree, a part that is lost or taken twice, the later of two equal ones."""
    for rows in pairs(both, f"kernels/{name}"):
        arrays = flat(rows[0], size, 1)
        arrays[0] = random(arrays[0].dtype.name, size, 9)
        same(rows, arrays, (size,))


@pytest.mark.parametrize(("name", "best"), [("Min", 0), ("Max", 1), ("ArgMin", 0)])
def test_an_extreme_in_any_part(both: tuple[Library, Library], name: str, best: int) -> None:
    """Catches a part that is never looked at, and the later one of two."""
    for rows in pairs(both, f"kernels/{name}"):
        for places in ([0], [4095], [4096], [LONG - 1], [LONG - 1, 4096]):
            x = np.full(LONG, 1 - best, rows[0].row.dtypes[0])
            x[places] = best
            arrays = [x, np.zeros(1, rows[0].row.dtypes[-1])][: 1 + rows[0].row.same[-1]]
            same(rows, arrays, (LONG,))


def test_sort(both: tuple[Library, Library]) -> None:
    """Catches a merge that loses, doubles or misplaces keys, and a pass into the wrong memory."""
    _, library = both
    for row in library.select("kernels/Sort"):
        dtype = row.row.dtypes[0]
        tile = 32768 // np.dtype(dtype).itemsize
        for size in (tile, tile + 1, 2 * tile + 3, LONG):
            data = mixed(dtype, size, 5)
            z = data.copy()
            arrays = [z] if row.row.same == (0, 0) else [data.copy(), z]
            row.run(arrays, shape=(size,))
            np.testing.assert_array_equal(z, np.sort(data), f"{row} n={size}")


def test_scan(both: tuple[Library, Library]) -> None:
    """Catches a part that starts from the wrong sum."""
    for rows in pairs(both, "kernels/Scan"):
        same(rows, flat(rows[0], LONG, -1), (LONG,))


@pytest.mark.parametrize("bins", [10, 9000])
def test_histogram(both: tuple[Library, Library], bins: int) -> None:
    """Catches counts that a block keeps to itself, or that start from what was there."""
    for rows in pairs(both, "kernels/Histogram"):
        same(rows, flat(rows[0], LONG, bins), (LONG,), lo=-2.0, hi=2.0)


@pytest.mark.parametrize("places", [40, 50_000])
def test_scatter(both: tuple[Library, Library], places: int) -> None:
    """Catches the first of equal indices, and one outside that is written or not reported."""
    for rows in pairs(both, "kernels/Scatter"):
        x, _, z = (
            flat(rows[0], 9000, places)[:1] * 3
            if rows[0].row.same[1] == 0
            else flat(rows[0], 9000, places)
        )
        index = np.random.default_rng(2).integers(0, places, 9000)
        if rows[0].row.same[1] == 0:
            z = random("int64", places, 4)
            same(rows, [index, z], (9000,))
            continue
        same(rows, [x, index, z], (9000,))
        index[77] = places
        same(rows, [x, index, z], (9000,))


@pytest.mark.parametrize("shape", [(3, 700), (900, 5), (0, 4), (4, 0), (2, 300, 7), (3, 4, 200)])
@pytest.mark.parametrize("name", ["Softmax", "LayerNorm"])
def test_rows(both: tuple[Library, Library], name: str, shape: tuple[int, ...]) -> None:
    """Catches a row that no block takes, or two do."""
    check_rows(both, name, shape)


@pytest.mark.parametrize("name", ["Softmax", "LayerNorm"])
@pytest.mark.parametrize("size", [1, 129, LONG])
def test_one_row_is_cut_up(both: tuple[Library, Library], name: str, size: int) -> None:
    """Catches a sum in another order than one block's."""
    check_rows(both, name, (size,))


def check_rows(both: tuple[Library, Library], name: str, shape: tuple[int, ...]) -> None:
    for rows in pairs(both, f"kernels/{name}"):
        if rows[0].row.indices != len(shape):
            continue
        dtype = rows[0].row.dtypes[0]
        x = random(dtype, int(np.prod(shape)), 1).reshape(shape)
        weights = [random(dtype, shape[-1], 3), random(dtype, shape[-1], 4)]
        arrays = [x, *(weights if name == "LayerNorm" else [])]
        if rows[0].row.same[-1] != 0:
            arrays.append(np.full(shape, 9, dtype))
        same(rows, arrays, shape, **({"eps": 1e-3} if name == "LayerNorm" else {}))


@pytest.mark.parametrize("shape", [(900, 5), (7, 64), (7, 65), (5, 3000)])
def test_gemv(both: tuple[Library, Library], shape: tuple[int, int]) -> None:
    """Catches a row that no block takes, or two do."""
    for rows in pairs(both, "kernels/Gemv"):
        dtype = rows[0].row.dtypes[0]
        a = random(dtype, shape[0] * shape[1], 1).reshape(shape)
        same(rows, [a, random(dtype, shape[1], 2), np.ones(shape[0], dtype)], (shape[0],))
