"""Cast equals astype, every dtype to every dtype, whatever the values."""

from __future__ import annotations

import numpy as np
import pytest

from .native import Array, Library
from .samples import SIZES, assert_same_bits, mixed, slices_of, specials

pytestmark = pytest.mark.filterwarnings(
    "ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning"
)


def edges(dtype: str) -> Array:
    """Floats at and around the limits of every integer type, halfway cases of float16."""
    limits = [0.5, 1.0, 2.0**7, 2.0**8, 2.0**15, 2.0**16, 2.0**31, 2.0**32, 2.0**63, 2.0**64, 1e30]
    halves = [65504.0, 65519.0, 65520.0, 2.0**-24, 2.0**-25, 3 * 2.0**-25, 2.0**-14, 1 + 2.0**-11]
    half_odd = [1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-40, 2.0**-14 - 2.0**-26, 2049.0, 4098.5]
    base = np.array([*limits, *halves, *half_odd], "float64").astype(dtype)
    real = base.real.astype("float64" if base.dtype.itemsize > 4 else "float32")
    near = np.concatenate([real, np.nextafter(real, 0), np.nextafter(real, np.inf)])
    return np.concatenate([near, -near]).astype(dtype)


def reference(x: Array, to: str) -> Array:
    """astype, with NumPy's scalar loop for float -> uint32 (its vector loop differs, see below)."""
    if to == "uint32" and x.dtype.kind in "fc":
        return np.array([value.astype(to) for value in x.real], to).reshape(x.shape)
    return x.astype(to)


def test_every_pair_equals_astype(library: Library) -> None:
    """Catches undefined float -> integer overflow that depends on the vector width."""
    rows = library.select("kernels/Cast")
    assert len({n.row.dtypes for n in rows}) == 14 * 14
    for native in rows:
        source, target = native.row.dtypes
        values = [mixed(source, size, seed=3) for size in SIZES]
        values.append(np.tile(specials(source), 3))
        if np.dtype(source).kind in "fc":
            values.append(np.tile(edges(source), 3))
        for x in values:
            expected = reference(x, target)
            z = x.copy() if native.row.same == (0, 0) else np.full(x.size, 1, target)
            arrays = [z] if native.row.same == (0, 0) else [x.copy(), z]
            native.run(arrays, shape=(x.size,), slices=slices_of(x.size))
            assert_same_bits(z, expected, f"{native} n={x.size}")


def test_float16_round_trip_of_all_patterns(library: Library) -> None:
    """Catches a wrong subnormal, infinity or rounding: all 65,536 halves, both directions."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    for real in ("float32", "float64"):
        for isa in library.rows:
            wide = np.empty(halves.size, real)
            up = library.get("kernels/Cast", ("float16", real), (0, 1), isa)
            up.run([halves.copy(), wide])
            assert_same_bits(wide, halves.astype(real), up)
            back = np.empty_like(halves)
            down = library.get("kernels/Cast", (real, "float16"), (0, 1), isa)
            down.run([wide, back])
            assert_same_bits(back, halves, down)


def test_bool_is_any_nonzero_byte(library: Library) -> None:
    """Catches a kernel that trusts a bool's byte to be 0 or 1."""
    x = np.array([0, 1, 2, 255, 128, 0, 7, 1], np.uint8).view(bool)
    z = np.zeros(8, np.int32)
    library.get("kernels/Cast", ("bool", "int32"), (0, 1)).run([x, z])
    assert z.tolist() == [0, 1, 1, 1, 1, 0, 1, 1]
