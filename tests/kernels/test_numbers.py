"""What dtype a number has: the rules of DESIGN.md, section 5, *Numbers*."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import linecache
from typing import Any

import numpy as np
import pytest

from gpures_lab.errors import CompileError
from gpures_lab.kernels import kernel

from .calling import call

_TINY = 2.0**-30


def _first(function: Any, inputs: list[Any], out: str, params: Any = None) -> Any:
    z = np.zeros(1, out)
    call(kernel(function), inputs, [z], params)
    return z[0]


def test_a_float_literal_takes_the_elements_dtype() -> None:
    """In float32, 1 + 2**-30 is 1; Numba alone would compute it in float64."""

    def f(i, x, z):
        z[i] = (1.0 + x[i]) - 1.0

    assert _first(f, [np.array([_TINY], "float32")], "float64") == 0.0
    assert _first(f, [np.array([_TINY], "float64")], "float64") == _TINY


def test_a_python_float_param_takes_it_and_a_numpy_scalar_keeps_its_own() -> None:
    def f(i, x, z, a):
        z[i] = (a + x[i]) - 1.0

    x = np.array([_TINY], "float32")
    assert _first(f, [x], "float64", {"a": 1.0}) == 0.0
    assert _first(f, [x], "float64", {"a": np.float32(1)}) == 0.0
    assert _first(f, [x], "float64", {"a": np.float64(1)}) == _TINY
    assert _first(f, [x], "float64", {"a": 1}) == 0.0


def test_indices_and_integer_locals_do_not_widen_floats() -> None:
    def f(i, x, z):
        n = 1
        z[i] = (n + x[i] + i) - 1

    assert _first(f, [np.array([_TINY], "float32")], "float64") == 0.0


def test_a_float_local_takes_the_dtype_of_what_it_gathers() -> None:
    def f(i, x, z):
        s = 1.0
        for k in range(x.size):
            s += x[k]
        z[i] = s - 1.0

    assert _first(f, [np.full(64, _TINY, "f4")], "float64") == 0.0
    assert _first(f, [np.full(64, _TINY, "f8")], "float64") == 64 * _TINY


def test_integer_locals_count_past_their_elements() -> None:
    def f(i, u8, z):
        n = 0
        for k in range(u8.size):
            n += u8[k]
        m = u8[0]
        m += u8[1]
        z[i] = n * 1000 + m

    assert _first(f, [np.full(4, 200, "u1")], "int64") == 800 * 1000 + 400


def test_elements_themselves_wrap_as_arrays_do() -> None:
    def f(i, x, y, z):
        z[i] = x[i] + y[i]

    assert _first(f, [np.array([200], "uint8"), np.array([100], "uint8")], "int64") == 44


def test_numpy_scalars_keep_their_dtype_in_locals() -> None:
    def f(i, x, z):
        h = np.uint32(2166136261)
        for k in range(x.size):
            h = (h ^ x[k]) * np.uint32(16777619)
        z[i] = h

    expected = 2166136261
    for byte in b"hello":
        expected = (expected ^ byte) * 16777619 % 2**32
    assert _first(f, [np.frombuffer(b"hello", "u1")], "uint32") == expected


def test_uint64_locals_do_not_lose_their_high_bit() -> None:
    def f(i, x, z):
        v = x[i]
        z[i] = v >> 1

    assert _first(f, [np.array([2**64 - 2], "uint64")], "uint64") == 2**63 - 1


def test_float_of_an_integer_does_not_widen_but_float64_does() -> None:
    def f(i, x, z):
        z[i] = (np.float64(x[i]) + 1) - 1

    def g(i, x, z):
        z[i] = (float(1) + x[i]) - 1

    assert _first(f, [np.array([_TINY], "float32")], "float64") == _TINY
    assert _first(g, [np.array([_TINY], "float32")], "float64") == 0.0


def test_integers_of_two_dtypes_compare_by_value() -> None:
    def f(i, x, y, z):
        z[i] = (x[i] < y[i]) + 2 * (x[i] == y[i]) + 4 * (y[i] > -1) + 8 * (x[i] != y[i])

    assert (
        _first(f, [np.array([-1], "int64"), np.array([2**64 - 1], "uint64")], "int64") == 1 + 4 + 8
    )
    assert _first(f, [np.array([-1], "int8"), np.array([255], "uint8")], "int64") == 1 + 4 + 8
    assert _first(f, [np.array([255], "uint8"), np.array([-1], "int8")], "int64") == 8


def test_a_literal_that_does_not_fit_is_an_error_with_the_cure() -> None:
    def f(i, x, z):
        z[i] = x[i] + 300

    with pytest.raises(CompileError, match=r"300 does not fit uint8.*np\.int64"):
        _first(f, [np.array([1], "uint8")], "int64")


@pytest.mark.parametrize(
    "literal", ["2**64", "10**20", "1 << 64", "2**10**6", "-(2**65)", "x[i] + 10**20", "~(2**64)"]
)
def test_a_literal_beyond_64_bits_is_an_error(literal: str) -> None:
    """Would catch: a constant that wraps to 0."""
    f = _defined(f"z[i] = {literal}")
    with pytest.raises(CompileError, match="line 2: .* does not fit 64 bits"):
        _first(f, [np.zeros(1)], "int64")


@pytest.mark.parametrize("literal", ["5 // 0", "7 % 0", "1 / 0"])
def test_literals_that_divide_by_zero_are_an_error(literal: str) -> None:
    f = _defined(f"z[i] = {literal}")
    with pytest.raises(CompileError, match="divides by zero"):
        _first(f, [np.zeros(1)], "float64")


def test_the_largest_literals_fit() -> None:
    assert _first(_defined("z[i] = 2**63 - 1"), [np.zeros(1)], "int64") == 2**63 - 1
    assert _first(_defined("z[i] = 10**20 // 10**19"), [np.zeros(1)], "int64") == 10
    assert _first(_defined("z[i] = 2**64 - 1"), [np.zeros(1)], "uint64") == 2**64 - 1
    assert _first(_defined("z[i] = -(2**63)"), [np.zeros(1)], "int64") == -(2**63)


def _defined(statement: str) -> Any:
    """A function with this body, whose source can be found."""
    text = f"def f(i, x, z):\n    {statement}\n"
    name = f"<{statement}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    made: dict[str, Any] = {}
    exec(compile(text, name, "exec"), made)  # noqa: S102 - a literal of this file
    return made["f"]


def test_a_python_int_param_wraps_to_the_elements_dtype() -> None:
    def f(i, x, z, a):
        z[i] = x[i] + a

    assert _first(f, [np.array([1], "uint8")], "int64", {"a": 300}) == (300 + 1) % 256


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, -7, 2**62, 0.1, -0.0, float("inf"), 1 - 2.5j),
        *(np.int8(-3), np.uint8(250), np.int16(-300), np.uint32(2**32 - 1), np.uint64(2**64 - 1)),
        *(
            np.float32(0.1),
            np.float64(0.1),
            np.complex64(1 + 2j),
            np.complex128(3 - 4j),
            np.bool_(True),
        ),
    ],
    ids=lambda v: f"{type(v).__name__}-{v}",
)
def test_every_kind_of_param_arrives_whole(value: Any) -> None:
    """Catches a wrong word count or a wrong width in the params block."""

    @kernel
    def f(i, z, y, a, b, c):  # noqa: PLR0917
        z[i] = b
        y[i] = a + c

    dtype = np.asarray(value).dtype
    z, y = np.zeros(1, dtype), np.zeros(1)
    call(f, [], [z, y], {"a": 1.5, "b": value, "c": np.float32(2.25)})
    assert z[0] == value
    assert np.signbit(z.real[0]) == np.signbit(np.real(value))
    assert y[0] == 3.75


def test_changing_a_params_value_compiles_nothing() -> None:
    from gpures_lab.kernels import cache_counters

    @kernel
    def f(i, z, scale_by):
        z[i] = scale_by * 2

    z = np.zeros(1)
    call(f, [], [z], {"scale_by": 1.0})
    before = cache_counters().compiled
    for value in (2.0, float("nan"), -1e300):
        call(f, [], [z], {"scale_by": value})
    assert cache_counters().compiled == before
    assert z[0] == -2e300


@pytest.mark.parametrize("where", ["input", "output", "param", "cast"])
def test_float16_is_refused_by_name(where: str) -> None:
    @kernel
    def f(i, x, z, a):
        z[i] = x[i] + a

    def g(i, x, z, a):
        z[i] = np.float16(x[i])

    x = np.zeros(2, "f2" if where == "input" else "f4")
    z = np.zeros(2, "f2" if where == "output" else "f4")
    a: Any = np.float16(1) if where == "param" else 1.0
    with pytest.raises(CompileError, match=r"float16.*held and moved, not computed with"):
        call(kernel(g) if where == "cast" else f, [x], [z], {"a": a})
