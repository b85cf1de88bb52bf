"""Elementwise arithmetic equals NumPy's, bit for bit, for every dtype and every awkward number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from .samples import DTYPES, evaluate, pairs, run_elementwise, same_bits, samples, ulps

_ARITHMETIC = ["x + y", "x - y", "x * y", "x / y", "x // y", "x % y"]
_COMPARE = ["x < y", "x <= y", "x > y", "x >= y", "x == y", "x != y"]
_BITS = ["x & y", "x | y", "x ^ y", "x << y", "x >> y"]
_CHOICE = ["np.maximum(x, y)", "np.minimum(x, y)", "np.fmax(x, y)", "np.fmin(x, y)"]
_MIXED = [
    *(("float32", "float64"), ("float32", "int32"), ("float32", "uint8"), ("int8", "uint8")),
    *(("int64", "uint64"), ("int32", "uint32"), ("bool", "float32"), ("bool", "int8")),
    *(("complex64", "float32"), ("complex64", "float64"), ("int16", "complex64")),
]


def _binary_expressions(left: str, right: str) -> list[str]:
    kinds = {np.dtype(left).kind, np.dtype(right).kind}
    if "c" in kinds:
        return ["x + y", "x - y", "x == y", "x != y"]
    found = [*_ARITHMETIC, *_COMPARE, *_CHOICE]
    if kinds == {"b"}:
        found.remove("x - y")
    if "f" not in kinds:
        found += _BITS if {left, right} != {"int64", "uint64"} else []
    return found


@pytest.mark.parametrize(("left", "right"), [*((dtype, dtype) for dtype in DTYPES), *_MIXED])
def test_binary_operators_equal_numpy(left: str, right: str) -> None:
    """Catches a promotion, a rounding or a division that differs from NumPy's loop."""
    x, y = pairs(left, right)
    expressions = _binary_expressions(left, right)
    expected = evaluate(expressions, {"x": x, "y": y})
    found = run_elementwise(expressions, {"x": x, "y": y}, [each.dtype.name for each in expected])
    for text, mine, theirs in zip(expressions, found, expected, strict=True):
        equal = same_bits(mine, theirs)
        if text in _CHOICE:
            equal |= mine == theirs  # NumPy's own choice between 0.0 and -0.0 depends on position
        assert equal.all(), (
            text,
            x[~equal][:3],
            y[~equal][:3],
            mine[~equal][:3],
            theirs[~equal][:3],
        )


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_products_and_quotients_are_numpys(dtype: str) -> None:
    """Catches a wrong part or a naive quotient; some processors' NumPy contracts these itself."""
    x, y = pairs(dtype, dtype)
    x, y = x[y != 0], y[y != 0]
    expressions = ["x * y", "x / y", "x ** 2", "x.real", "x.imag", "abs(x)"]
    expected = evaluate(expressions, {"x": x, "y": y})
    found = run_elementwise(expressions, {"x": x, "y": y}, [e.dtype.name for e in expected])
    scale = [abs(x * y), abs(x / y), abs(x) ** 2, abs(x), abs(x), abs(x)]
    # A zero to a power: NumPy says 0 where the formula by logarithms says NaN.
    base, power = np.zeros(3, dtype), np.array([1 + 1j, 2.5, 0.5 - 3j], dtype)
    assert (run_elementwise(["b ** p"], {"b": base, "p": power}, [dtype])[0] == 0).all()
    for text, mine, theirs, size in zip(expressions, found, expected, scale, strict=True):
        assert (abs(mine - theirs) <= 4 * np.finfo(dtype).eps * size).all(), text


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_literals_and_python_params_never_widen(dtype: str) -> None:
    """Catches Numba's own rule, by which ``1 - x`` of float32 is computed in float64."""
    x = samples(dtype)
    expressions = ["1 + x", "x * 3", "x - 1", "a * x + b"]
    if np.dtype(dtype).kind == "f":
        expressions += [
            "0.1 * x + 0.7",
            "x / 3",
            "1 / 3 * x",
            "x // 3",
            "x % 0.7",
            "1 - x",
            "2 ** x",
        ]
        expressions += ["x < 0.1", "x ** 2", "x ** 0.5", "x ** -1"]
    a, b = (3, 5) if np.dtype(dtype).kind in "iu" else (0.1, 0.3)
    values = {"x": x, "a": a, "b": b}
    expected = evaluate(expressions, values)
    found = run_elementwise(
        expressions, {"x": x}, [each.dtype.name for each in expected], {"a": a, "b": b}
    )
    for text, mine, theirs in zip(expressions, found, expected, strict=True):
        if text == "2 ** x":
            assert ulps(mine, theirs).max() <= 2, text
        else:
            assert same_bits(mine, theirs).all(), (text, mine, theirs)


@pytest.mark.parametrize("source", DTYPES)
def test_stores_cast_as_astype_does(source: str) -> None:
    """Catches a store that saturates, rounds, or reads a negative float as a huge integer."""
    x = samples(source)
    if np.dtype(source).kind in "fc":
        # Beyond these NumPy's own result depends on the processor's vector width.
        real = x.real
        x = x[np.isfinite(real) & (np.abs(real) < 120)]
    expected = evaluate([f"x.astype('{target}')" for target in DTYPES], {"x": x})
    found = run_elementwise(["x"] * len(DTYPES), {"x": x}, list(DTYPES))
    for target, mine, theirs in zip(DTYPES, found, expected, strict=True):
        assert same_bits(mine, theirs).all(), (source, target, x, mine, theirs)


_EXACT_UFUNCS = {
    "float": (
        *("sqrt", "floor", "ceil", "trunc", "rint", "fabs", "absolute", "negative", "square"),
        *("reciprocal", "sign", "isnan", "isinf", "isfinite", "signbit", "positive"),
    ),
    "int": ("absolute", "negative", "square", "sign", "invert", "positive", "sqrt", "isnan"),
    "complex": ("negative", "conjugate", "positive"),
}


def _family(dtype: str) -> str:
    return {"f": "float", "c": "complex"}.get(np.dtype(dtype).kind, "int")


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_exact_ufuncs_equal_numpy(dtype: str) -> None:
    x = samples(dtype)
    expressions = [f"np.{name}(x)" for name in _EXACT_UFUNCS[_family(dtype)]]
    if np.dtype(dtype).itemsize == 1:
        expressions.remove("np.sqrt(x)")  # NumPy's is a float16; a kernel's is a float32
    expected = evaluate(expressions, {"x": x})
    found = run_elementwise(expressions, {"x": x}, [each.dtype.name for each in expected])
    for text, mine, theirs in zip(expressions, found, expected, strict=True):
        assert same_bits(mine, theirs).all(), (text, x, mine, theirs)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16"])
def test_whole_numbers_have_whole_reciprocals(dtype: str) -> None:
    x = samples(dtype)
    (found,) = run_elementwise(["np.reciprocal(x)"], {"x": x}, [dtype])
    assert found.tolist() == [v if abs(int(v)) == 1 else 0 for v in x.tolist()]


_TRANSCENDENTAL = [
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin"),
    *("arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "cbrt"),
    *("deg2rad", "rad2deg", "degrees", "radians"),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transcendentals_are_within_two_ulp(dtype: str) -> None:
    """Catches a function computed in another precision, or another function."""
    x = samples(dtype, hard=False)
    x = np.concatenate([x, np.linspace(-4, 4, 101).astype(dtype)])
    expressions = [f"np.{name}(x)" for name in _TRANSCENDENTAL]
    expected = evaluate(expressions, {"x": x})
    found = run_elementwise(expressions, {"x": x}, [dtype] * len(expressions))
    for text, mine, theirs in zip(expressions, found, expected, strict=True):
        assert ulps(mine, theirs).max() <= 2, (text, x[ulps(mine, theirs) > 2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_argument_functions_are_within_two_ulp(dtype: str) -> None:
    x, y = pairs(dtype, dtype)
    small = (np.abs(x) < 200) & (np.abs(y) < 200)
    x, y = x[small], y[small]
    expressions = [
        *("np.arctan2(x, y)", "np.hypot(x, y)", "np.power(x, y)", "np.fmod(x, y)"),
        *("np.copysign(x, y)", "np.logaddexp(x, y)", "np.remainder(x, y)"),
    ]
    expected = evaluate(expressions, {"x": x, "y": y})
    found = run_elementwise(expressions, {"x": x, "y": y}, [dtype] * len(expressions))
    for text, mine, theirs in zip(expressions, found, expected, strict=True):
        worst = ulps(mine, theirs)
        assert worst.max() <= 2, (text, x[worst > 2][:4], y[worst > 2][:4])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_math_functions_keep_the_elements_dtype(dtype: str) -> None:
    x = np.array([0.1, 0.5, 0.9, 0.25], dtype)
    names = ["sqrt", "exp", "log", "sin", "cos", "tan", "asin", "atanh", "erf", "gamma", "lgamma"]
    names += ["exp2", "cbrt", "log1p", "expm1", "fabs", "degrees"]
    found = run_elementwise([f"math.{name}(x)" for name in names], {"x": x}, [dtype] * len(names))
    import math

    for name, mine in zip(names, found, strict=True):
        theirs = np.array([getattr(math, name)(float(each)) for each in x]).astype(dtype)
        # Python has its own lgamma and gamma, C's differ from them by more.
        assert ulps(mine, theirs).max() <= (16 if "gamma" in name else 2), name


def test_every_dtype_was_tried_with_every_operator() -> None:
    """Catches a sample table that lost a dtype: the tests above would pass without it."""
    assert set(DTYPES) == {np.dtype(d).name for d in DTYPES}
    assert len(DTYPES) == 13
    assert all(samples(dtype).size > 3 for dtype in DTYPES)
    assert len(list(itertools.chain(_ARITHMETIC, _COMPARE, _BITS, _CHOICE))) == 21
