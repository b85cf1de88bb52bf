"""What a kernel body refers to outside itself, read once, when the kernel is defined.

Values and sources of captures are part of a kernel's identity: a global that changes later
changes nothing in a kernel that exists.
"""

from __future__ import annotations

import builtins
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab.kernels.markers import fma

if TYPE_CHECKING:
    from gpures_lab.kernels.function import Function

__all__ = [
    "BUILTINS",
    "Named",
    "Namespace",
    "Number",
    "Refused",
    "classify",
    "describe",
    "lookup",
    "member",
]

BUILTINS = frozenset({"abs", "bool", "complex", "float", "int", "len", "max", "min", "range", "round"})


@dataclass(frozen=True, slots=True)
class Number:
    """A Python or NumPy scalar."""

    value: Any


@dataclass(frozen=True, slots=True)
class Named:
    """Something the language itself has a meaning for; ``kind`` says which table.

    ``kind`` is ``"builtin"``, ``"math"``, ``"ufunc"``, ``"numpy"``, ``"dtype"`` or ``"fma"``.
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """A module; its members are looked up when the kernel is defined."""

    module: types.ModuleType


@dataclass(frozen=True, slots=True)
class Refused:
    """A value kernels cannot use; ``reason`` ends the error message, with the cure."""

    reason: str


def lookup(name: str, scopes: tuple[Mapping[str, Any], ...]) -> Any:
    """The object that ``name`` means, or ``KeyError``."""
    for scope in scopes:
        if name in scope:
            return scope[name]
    return vars(builtins)[name]


def classify(
    value: Any, name: str, read_function: Callable[[Any], Function]
) -> Number | Named | Namespace | Refused | Function:
    """What ``value``, known to the body as ``name``, is to a kernel."""
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return _number(value, name)
    if value is fma:
        return Named("fma", "fma")
    if isinstance(value, types.ModuleType):
        return Namespace(value)
    if isinstance(value, np.ufunc):
        return Named("ufunc", value.__name__)
    known = _known_callable(value)
    if known is not None:
        return known
    if isinstance(value, types.FunctionType):
        return read_function(value)
    inner = getattr(value, "py_func", None)  # a Numba dispatcher carries its Python function
    if isinstance(inner, types.FunctionType):
        return read_function(inner)
    return Refused(_reason(value, name))


def member(namespace: Namespace, attribute: str) -> Any:
    """The member of a module, or ``AttributeError``."""
    return getattr(namespace.module, attribute)


def _number(value: Any, name: str) -> Number | Refused:
    dtype = np.asarray(value).dtype
    if isinstance(value, np.generic) and dtype.name not in _COMPUTABLE:
        return Refused(f"{name} is a NumPy {dtype.name}, with which kernels cannot compute")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return Refused(f"{name} = {value} does not fit 64 bits")
    return Number(value)


_COMPUTABLE = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
    | {"float32", "float64", "complex64", "complex128"}
)


def _known_callable(value: Any) -> Named | None:
    if isinstance(value, type) and issubclass(value, np.generic):
        try:
            return Named("dtype", np.dtype(value).name)
        except TypeError:
            return None
    name = getattr(value, "__name__", None)
    if not isinstance(name, str):
        return None
    if name in BUILTINS and getattr(builtins, name) is value:
        return Named("builtin", name)
    if getattr(math, name, None) is value:
        return Named("math", name)
    if getattr(np, name, None) is value:
        return Named("numpy", name)
    return None


def _reason(value: Any, name: str) -> str:
    kind = type(value).__name__
    if isinstance(value, np.ndarray) or hasattr(value, "__array_interface__"):
        return f"{name} is an array ({kind}) outside the kernel; pass it as an argument"
    try:
        hash(value)
    except TypeError:
        return f"{name} is a {kind} outside the kernel; pass it as an argument, as an array"
    return (
        f"{name} is a {kind}; kernels capture numbers, plain functions and the modules math and "
        "numpy, anything else is passed as an argument"
    )


def describe(captured: Number | Named | Namespace | Refused | Function) -> str:
    """Text that differs whenever the capture would compile differently."""
    if isinstance(captured, Number):
        value = captured.value
        return f"{type(value).__module__}.{type(value).__name__} {value!r}"
    if isinstance(captured, Named):
        return f"{captured.kind} {captured.name}"
    if isinstance(captured, (Namespace, Refused)):
        raise AssertionError("modules and refused values are never part of an identity")
    return f"function {captured.identity}"
