"""Mean equals np.mean bit for bit; Norm is a pairwise sum of squares."""

from __future__ import annotations

import numpy as np
import pytest

from .native import Library
from .samples import SIZES, assert_same_bits, mixed, random
from .test_reductions import reduce

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

MEAN_SIZES = (*SIZES, 256, 8191, 8192, 8193, 65537, 1_000_000)


def test_mean_equals_numpy_bit_for_bit(library: Library) -> None:
    """Catches integers averaged in another order or type, and a complex division of its own."""
    for native in library.select("kernels/Mean"):
        source, target = native.row.dtypes
        for size in MEAN_SIZES:
            if size == 0 and native.row.same == (0, 0):
                continue
            for x in (random(source, size, 5), mixed(source, size, 6)):
                expected = np.array([np.mean(x)])
                assert expected.dtype.name == target
                got, _ = reduce(native, x)
                assert_same_bits(got, expected, f"{native} n={size}")


def test_norm_is_the_root_of_a_pairwise_sum(library: Library) -> None:
    """Catches a real dtype lost for complex input, and a naive sum on a million elements."""
    for native in library.select("kernels/Norm"):
        source, target = native.row.dtypes
        for size in MEAN_SIZES:
            if size == 0 and native.row.same == (0, 0):
                continue
            x = random(source, size, 7)
            wide = np.abs(x.astype(complex if x.dtype.kind == "c" else float)).astype(np.longdouble)
            expected = np.sqrt(np.sum(wide * wide))
            got, _ = reduce(native, x)
            assert got.dtype.name == target
            assert abs(got[0] - expected) <= 4 * np.finfo(target).eps * expected, str(native)
