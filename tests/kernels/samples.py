"""Numbers at which arithmetic goes wrong, and what NumPy makes of an expression over them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from gpures_lab.kernels import kernel_from_source

from .calling import call

REAL = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64"),
)
DTYPES = (*REAL, "complex64", "complex128")


def samples(dtype: str, *, hard: bool = True) -> np.ndarray:
    """Zeros, extremes, signs, NaN and infinity where the dtype has them; a few plain numbers."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.array([False, True, True, False])
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        values = [0, 1, 2, 3, 7, 10, 63, 100, limits.max, limits.max - 1, limits.min, limits.min + 1]
        if kind.kind == "i":
            values += [-1, -2, -3, -7, -10]
        return np.array(values, dtype)
    values = [0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 7.25, -7.25, 1e-3, 0.1, 123.456, -0.1]
    if hard:
        values += [-0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30]
    if kind.kind == "f":
        return np.array(values, dtype)
    plain = np.array([0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 7.25, 0.1])
    return (plain[:, None] + 1j * plain[None, :]).ravel().astype(dtype)


def pairs(left: str, right: str) -> tuple[np.ndarray, np.ndarray]:
    """Every sample of one dtype with every one of the other."""
    a, b = samples(left), samples(right)
    return np.repeat(a, b.size), np.tile(b, a.size)


def evaluate(expressions: list[str], arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """NumPy's results over whole arrays, without float16."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = [np.asarray(eval(text, {"np": np, **arrays})) for text in expressions]
    return [
        each.astype(np.float32) if each.dtype == np.float16 else each for each in found
    ]


def run_elementwise(
    expressions: list[str],
    arrays: dict[str, np.ndarray],
    outputs: list[str],
    params: dict[str, Any] | None = None,
    name: str = "elementwise",
) -> list[np.ndarray]:
    """The same expressions of elements, one output of the given dtype each, in one kernel."""
    import re

    size = next(iter(arrays.values())).size
    lines = []
    for k, text in enumerate(expressions):
        for array in arrays:
            text = re.sub(rf"(?<![\w.]){array}\b", f"{array}[i]", text)
        lines.append(f"z{k}[i] = {text}")
    results = [np.zeros(size, dtype) for dtype in outputs]
    kernel = kernel_from_source(
        name,
        "\n".join(lines),
        inputs=list(arrays),
        outputs=[f"z{k}" for k in range(len(expressions))],
        params=list(params or {}),
        namespace={"np": np, **({"math": __import__("math")})},
    )
    assert call(kernel, list(arrays.values()), results, params)[0] == 0
    return results


def same_bits(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Elementwise: equal bit for bit, all NaNs being one."""
    if left.dtype.kind == "c":
        return same_bits(left.real.copy(), right.real.copy()) & same_bits(
            left.imag.copy(), right.imag.copy()
        )
    if left.dtype.kind != "f":
        return left == right
    whole = {4: np.uint32, 8: np.uint64}[left.dtype.itemsize]
    both_nan = np.isnan(left) & np.isnan(right)
    return both_nan | (left.view(whole) == right.view(whole))


def ulps(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Distance in units of the last place; 0 for equal, NaN with NaN, and equal infinities."""
    with np.errstate(all="ignore"):
        distance = np.abs(left.astype(np.float64) - right.astype(np.float64))
        unit = np.spacing(np.abs(right)).astype(np.float64)
        found = np.where(distance == 0, 0.0, distance / unit)
    equal = (left == right) | (np.isnan(left) & np.isnan(right))
    return np.where(equal, 0.0, found)
