"""Elementwise kernels equal NumPy bit for bit: all dtypes, patterns, sizes, instruction sets."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from .native import Array, Library, NativeRow
from .samples import SIZES, assert_same_bits, assert_within_ulp, mixed, slices_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

GUARD = 16  # elements past the end that no kernel may touch


def distinct(native: NativeRow, size: int) -> list[Array]:
    """One array a distinct handle, longer than the range, outputs included."""
    row = native.row
    return [
        mixed(row.dtypes[p], size + GUARD, seed=p) for p, first in enumerate(row.same) if p == first
    ]


def bound(native: NativeRow, arrays: list[Array]) -> list[Array]:
    """The arrays in binding order, equal handles repeated."""
    places = [p for p, first in enumerate(native.row.same) if p == first]
    return [arrays[places.index(first)] for first in native.row.same]


def check(
    native: NativeRow, size: int, reference: Callable[..., Array], param: object = None
) -> None:
    arrays = distinct(native, size)
    before = [array.copy() for array in arrays]
    *inputs, old = bound(native, before)
    params = {} if param is None else {native.row.params[0]: param}
    if param is None:
        expected = reference(*(x[:size] for x in inputs))
    else:
        expected = reference(np.asarray(param).astype(old.dtype)[()], *(x[:size] for x in inputs))
    fault = native.run(arrays, params=params, shape=(size,), slices=slices_of(size))
    assert fault == [0] * 8
    output = bound(native, arrays)[-1]
    assert_same_bits(output[:size], np.asarray(expected), f"{native} n={size}")
    assert_same_bits(output[size:], old[size:], f"{native} n={size}, past the end")
    for array, copy in zip(arrays, before, strict=True):
        if array is not output:
            assert_same_bits(array, copy, f"{native} n={size}, an input")


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("kernels/Add", np.add),
        ("kernels/Sub", np.subtract),
        ("kernels/Mul", np.multiply),
        ("kernels/Copy", np.copy),
    ],
)
def test_equals_numpy_for_every_dtype_and_alias_pattern(
    library: Library, name: str, reference: Callable[..., Array]
) -> None:
    """Catches a wrong place of an aliased array, a wrong carrier type, a tail not computed."""
    for native in library.select(name):
        for size in SIZES:
            check(native, size, reference)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("kernels/Neg", np.negative),
        ("kernels/Sqrt", np.sqrt),
        ("kernels/Relu", lambda x: np.where(x <= 0, x.dtype.type(0), x)),
        ("kernels/Div", np.true_divide),
    ],
)
def test_exact_unary_and_division_equal_numpy(
    library: Library, name: str, reference: Callable[..., Array]
) -> None:
    """Catches another complex division than NumPy's, integers divided in their own dtype."""
    assert library.select(name)
    for native in library.select(name):
        for size in SIZES:
            check(native, size, reference)


def test_abs_of_reals_equals_numpy_and_the_modulus_is_within_two_ulp(library: Library) -> None:
    """Catches a lowest integer that became positive, and a modulus that overflows half-way."""
    for native in library.select("kernels/Abs"):
        dtype = native.row.dtypes[0]
        for size in SIZES:
            if np.dtype(dtype).kind != "c":
                check(native, size, np.abs)
                continue
            x = mixed(dtype, size, 4)
            z = np.zeros(size, native.row.dtypes[1])
            native.run([x, z], slices=slices_of(size))
            assert_within_ulp(z, np.abs(x), 2, native)


TRANSCENDENTALS: dict[str, Callable[..., Array]] = {
    "kernels/Exp": np.exp,
    "kernels/Log": np.log,
    "kernels/Sin": np.sin,
    "kernels/Cos": np.cos,
    "kernels/Tanh": np.tanh,
    "kernels/Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("name", sorted(TRANSCENDENTALS))
def test_transcendentals_are_within_two_ulp_of_numpy(library: Library, name: str) -> None:
    """Catches a fast approximation, lost special values and overflow in an intermediate step."""
    reference = TRANSCENDENTALS[name]
    for native in library.select(name):
        dtype = native.row.dtypes[0]
        rng = np.random.default_rng(8)
        spread = rng.normal(size=20_000) * np.exp(rng.normal(size=20_000) * 3)
        for x in (mixed(dtype, 1000, 4), spread.astype(dtype), np.abs(spread).astype(dtype)):
            z = x.copy()
            native.run([z] if native.row.same == (0, 0) else [x, z], slices=slices_of(x.size))
            if name == "kernels/Sigmoid":
                # The plain formula underflows early and loses digits where exp(-x) is large.
                wide = x.astype(np.longdouble)
                expected = (1 / (1 + np.exp(-wide))).astype(dtype)
            else:
                expected = reference(x)
            assert_within_ulp(z, expected, 2, native)


def test_add_covers_five_patterns_of_thirteen_dtypes(library: Library) -> None:
    """Catches a dtype or pattern missing from the table, which the test above would not see."""
    rows = [n.row for n in library.rows["baseline"] if n.row.name == "kernels/Add"]
    assert {row.same for row in rows} == {(0, 1, 2), (0, 0, 2), (0, 1, 0), (0, 1, 1), (0, 0, 0)}
    assert {row.dtypes for row in rows} == {(d,) * 3 for d in library.dtypes if d != "float16"}
    assert len(rows) == 5 * 13
    assert all(row.aliases == ("kernels/VectorAdd",) for row in rows)


def test_fill_takes_the_arrays_dtype(library: Library) -> None:
    """Catches a parameter read with the wrong width: complex128 takes two words, int8 one byte."""
    for native in library.select("kernels/Fill"):
        for value in specials_or_one(native.row.dtypes[0]):
            for size in SIZES:
                check(native, size, lambda a, n=size: np.full(n, a), param=value)


def specials_or_one(dtype: str) -> Array:
    return mixed(dtype, 5, seed=9)


@pytest.mark.parametrize("size", SIZES)
def test_saxpy_rounds_twice_as_numpy_does(library: Library, size: int) -> None:
    """Catches contraction of a * x + y to a fused multiply-add, on any instruction set."""
    for native in library.select("kernels/Saxpy"):
        for value in specials_or_one(native.row.dtypes[0]):
            # NumPy multiplies a scalar by one element in its scalar loop, unfused for complex:
            # an array of `a`s keeps to the vector loop.
            check(native, size, lambda a, x, y: np.full(x.shape, a) * x + y, param=value)


def exact_fma(x: Array, y: Array, w: Array) -> Array:
    """One rounding, in rational arithmetic; NumPy has no fma."""
    plain = x * y + w
    result: Array = plain.copy()
    for i in np.flatnonzero(np.isfinite(x) & np.isfinite(y) & np.isfinite(w)):
        exact = Fraction(float(x[i])) * Fraction(float(y[i])) + Fraction(float(w[i]))
        if exact != 0:
            result[i] = round_fraction(exact, x.dtype)
    # Rational zero has no sign, and the plain product may have overflowed: keep those that
    # rounding cannot change.
    return result


def round_fraction(value: Fraction, dtype: np.dtype[Any]) -> float:
    """The nearest float of `dtype`, ties to even, subnormals and overflow included."""
    info = np.finfo(dtype)
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    exponent = max(exponent, int(info.minexp))
    unit = Fraction(2) ** (exponent - int(info.nmant))
    rounded = round(magnitude / unit) * unit  # round() of a Fraction is half to even
    if rounded >= Fraction(2) ** int(info.maxexp):
        return np.inf if value > 0 else -np.inf
    return float(rounded if value > 0 else -rounded)


def test_fma_rounds_once(library: Library) -> None:
    """Catches an fma that is a product and a sum: on random floats about a third would differ."""
    for native in library.select("kernels/Fma"):
        integer = np.dtype(native.row.dtypes[0]).kind in "iu"
        reference = (lambda x, y, w: x * y + w) if integer else exact_fma
        for size in (1, 8, 129):
            check(native, size, reference)
