"""Types of scalar values inside a kernel, and how they combine: NumPy's rules for its scalars.

Python numbers are *weak*: they take the dtype of what they meet. NumPy itself decides what each
operation's dtypes are (``ufunc.resolve_dtypes``), so a kernel's arithmetic is an array
expression's arithmetic.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = [
    "BOOL",
    "COMPUTABLE",
    "INDEX",
    "WEAK_COMPLEX",
    "WEAK_FLOAT",
    "WEAK_INT",
    "Origin",
    "Scalar",
    "common",
    "element",
    "local_type",
    "of_number",
    "resolve",
]

COMPUTABLE = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)


class Origin(enum.Enum):
    """Where a value comes from, as far as promotion cares."""

    WEAK = "weak"
    """A literal or a Python param: takes the dtype of what it meets."""
    PYTHON = "python"
    """An int64 that counts: an index, a size, an integer local. Weak where it meets floats."""
    ELEMENT = "element"
    """An array's element: promotes as NumPy's arrays do; a local made of it counts in int64."""
    EXPLICIT = "explicit"
    """A NumPy scalar: as ``ELEMENT``, and a local made of it keeps its dtype."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """Type of one value: the dtype it is computed in, and its origin."""

    dtype: str
    origin: Origin

    @property
    def kind(self) -> str:
        """NumPy's kind letter: ``b``, ``i``, ``u``, ``f`` or ``c``."""
        return np.dtype(self.dtype).kind

    @property
    def is_integer(self) -> bool:
        """Signed or unsigned, not bool."""
        return self.kind in "iu"

    @property
    def is_weak(self) -> bool:
        """Whether it never widens what it meets."""
        return self.origin is Origin.WEAK or self.dtype == "bool"


BOOL = Scalar("bool", Origin.ELEMENT)
INDEX = Scalar("int64", Origin.PYTHON)
WEAK_INT = Scalar("int64", Origin.WEAK)
WEAK_FLOAT = Scalar("float64", Origin.WEAK)
WEAK_COMPLEX = Scalar("complex128", Origin.WEAK)


def element(dtype: str) -> Scalar:
    """Type of an array's element."""
    return Scalar(dtype, Origin.ELEMENT)


def of_number(value: Any) -> Scalar:
    """Type of a captured or literal number."""
    if isinstance(value, np.generic):
        return Scalar(value.dtype.name, Origin.EXPLICIT)
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return WEAK_INT if value < 2**63 else Scalar("uint64", Origin.WEAK)
    return WEAK_FLOAT if isinstance(value, float) else WEAK_COMPLEX


@lru_cache(maxsize=4096)
def _loop(ufunc: np.ufunc, operands: tuple[Any, ...]) -> tuple[str, ...]:
    """Dtypes of the loop NumPy would run; no float16, which kernels do not compute with."""
    loop = ufunc.resolve_dtypes((*operands, *[None] * ufunc.nout))
    if any(dtype.name == "float16" for dtype in loop):
        wider = tuple(
            np.dtype("float32") if isinstance(each, np.dtype) and each.itemsize == 1 else each
            for each in operands
        )
        loop = ufunc.resolve_dtypes((*wider, *[None] * ufunc.nout))
    return tuple(dtype.name for dtype in loop)


def resolve(ufunc: np.ufunc, operands: Sequence[Scalar]) -> tuple[tuple[str, ...], Scalar]:
    """The dtypes each operand is cast to, and the type of the result.

    Raises
    ------
    TypeError
        NumPy has no version of ``ufunc`` for these dtypes.
    """
    if all(operand.is_weak or operand.origin is Origin.PYTHON for operand in operands):
        loop = _loop(ufunc, tuple(np.dtype(operand.dtype) for operand in operands))
        return loop[: ufunc.nin], _weak_result(loop[-1], operands)
    inexact = any(operand.kind in "fc" for operand in operands)
    unsigned = any(o.dtype == "uint64" and o.origin is not Origin.WEAK for o in operands)
    loop = _loop(ufunc, tuple(_as_numpy(each, inexact or unsigned) for each in operands))
    return loop[: ufunc.nin], Scalar(loop[-1], _strong_origin(loop[-1], operands))


def _as_numpy(operand: Scalar, python_is_weak: bool) -> Any:
    weak = operand.origin is Origin.WEAK
    if operand.origin is Origin.PYTHON and python_is_weak:
        weak = True
    if not weak:
        return np.dtype(operand.dtype)
    return {"i": int, "u": int, "f": float, "c": complex}[operand.kind]


def _weak_result(dtype: str, operands: Sequence[Scalar]) -> Scalar:
    if dtype == "bool":
        return BOOL
    if dtype == "uint64":
        return Scalar(dtype, Origin.WEAK)
    if np.dtype(dtype).kind == "i":
        counts = any(operand.origin is not Origin.WEAK for operand in operands)
        return Scalar("int64", Origin.PYTHON if counts else Origin.WEAK)
    return Scalar(dtype, Origin.WEAK)


def _strong_origin(dtype: str, operands: Sequence[Scalar]) -> Origin:
    if any(o.origin is Origin.EXPLICIT and o.dtype == dtype for o in operands):
        return Origin.EXPLICIT
    if dtype == "int64" and any(o.origin is Origin.PYTHON for o in operands):
        return Origin.PYTHON
    return Origin.ELEMENT


def common(*types: Scalar) -> Scalar:
    """The type that holds a value of any of these, as ``a if c else b`` gives it."""
    result = types[0]
    for each in types[1:]:
        if each != result:
            result = resolve(np.maximum, (result, each))[1]
    return result


def local_type(before: Scalar | None, assigned: Scalar) -> Scalar:
    """Type of a local that has been given values of these types.

    Integer locals are int64, so that ``n = 0; n += u8[k]`` counts past 255; only uint64 elements
    and NumPy scalars, which say their dtype, are held as they are.
    """
    merged = assigned if before is None else common(before, assigned)
    if merged.dtype == "uint64":
        return Scalar("uint64", Origin.EXPLICIT)
    if merged.is_integer and merged.origin is not Origin.EXPLICIT:
        return INDEX
    return merged
