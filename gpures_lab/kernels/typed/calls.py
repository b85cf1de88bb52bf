"""Calls: Python's built-ins, ``math``, NumPy's ufuncs and dtypes, plain functions, ``gl.fma``."""

from __future__ import annotations

import ast
from collections.abc import Callable

import numpy as np

from gpures_lab.kernels.captures import Named, Namespace, Number
from gpures_lab.kernels.function import Function
from gpures_lab.kernels.typed import operations
from gpures_lab.kernels.typed.functions import invoke
from gpures_lab.kernels.typed.operations import apply_ufunc, cast, select, truth
from gpures_lab.kernels.typed.scalars import (
    BOOL,
    COMPUTABLE,
    INDEX,
    WEAK_COMPLEX,
    WEAK_FLOAT,
    WEAK_INT,
    Origin,
    Scalar,
    common,
    of_number,
    resolve,
)
from gpures_lab.kernels.typed.scope import Scope
from gpures_lab.kernels.typed.tree import Const, Expr, Extent, Op

__all__ = ["call"]

Typing = Callable[[ast.expr], Expr]

# Functions of `math`: one or two floats to a float of the same dtype.
_MATH_FLOAT = frozenset(
    {"acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "copysign", "cos", "cosh"}
    | {"degrees", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "fmod", "gamma", "hypot"}
    | {"lgamma", "log", "log10", "log1p", "log2", "pow", "radians", "remainder", "sin", "sinh"}
    | {"sqrt", "tan", "tanh", "cbrt"}
)
# The same functions by NumPy's name, which have the same meaning and better-known rounding.
_MATH_AS_UFUNC = {"exp2": "exp2", "cbrt": "cbrt", "fabs": "fabs", "sqrt": "sqrt"}
_MATH_TWO = frozenset({"atan2", "copysign", "fmod", "hypot", "pow"})
_MATH_TEST = frozenset({"isfinite", "isinf", "isnan"})
_MATH_TO_INT = {"ceil": "ceil", "floor": "floor", "trunc": "trunc"}
_MATH_LEFT_OUT = frozenset({"remainder"})
# Ufuncs that are operators, so that every spelling compiles to the same operation.
_OPERATORS = {
    "abs": "absolute",
    "bitwise_not": "invert",
    "conj": "conjugate",
    "divide": "true_divide",
    "mod": "remainder",
    "pow": "power",
}
_UFUNCS_LEFT_OUT = frozenset(
    {"bitwise_count", "divmod", "float_power", "frexp", "gcd", "heaviside", "isnat", "lcm"}
    | {"ldexp", "matmul", "matvec", "modf", "nextafter", "spacing", "vecdot", "vecmat"}
)
_MAX_DECIMALS = 15


def call(scope: Scope, node: ast.Call, typing: Typing) -> Expr:
    """Type a call expression."""
    name = ast.unparse(node.func)
    target = scope.function.captured.get(name)
    if name.split(".")[0] in scope.locals or name in scope.arrays:
        target = None
    if isinstance(target, Function):
        return invoke(scope, node, target, typing)
    if not isinstance(target, Named):
        what = "a number" if isinstance(target, Number) else "not a function kernels know"
        if isinstance(target, Namespace):
            what = "a module"
        raise scope.error(f"{name} is {what}, and cannot be called", node)
    if node.keywords:
        raise scope.error(f"{name} takes no keyword arguments inside a kernel", node)
    if target == Named("builtin", "len"):
        return _length(scope, node)
    if target.kind == "builtin" and target.name == "range":
        raise scope.error("range stands in a for statement only", node)
    args = [typing(argument) for argument in node.args]
    table = {"builtin": _builtin, "math": _math, "ufunc": _ufunc, "numpy": _numpy}
    if target.kind == "dtype":
        return _dtype(scope, node, target.name, args)
    if target.kind == "fma":
        return _fma(scope, node, args)
    return table[target.kind](scope, node, target.name, args)


def _arity(scope: Scope, node: ast.Call, args: list[Expr], least: int, most: int) -> None:
    if not least <= len(args) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise scope.error(f"{ast.unparse(node.func)} takes {wanted} arguments", node)


def _length(scope: Scope, node: ast.Call) -> Expr:
    first = node.args[0] if len(node.args) == 1 else None
    if not isinstance(first, ast.Name) or first.id not in scope.arrays:
        raise scope.error("len takes one array", node)
    scope.slots.add(scope.arrays[first.id])
    return Extent(INDEX, scope.arrays[first.id], 0)


def _builtin(scope: Scope, node: ast.Call, name: str, args: list[Expr]) -> Expr:
    if name in ("min", "max"):
        if len(args) < 2:
            raise scope.error(f"{name} takes two or more numbers", node)
        return _extreme(scope, node, name, args)
    if name == "round":
        _arity(scope, node, args, 1, 2)
        return _round(scope, node, args, python=True)
    if name == "complex":
        _arity(scope, node, args, 1, 2)
        return _complex(scope, node, args)
    _arity(scope, node, args, 1, 1)
    value = args[0]
    if name == "abs":
        return value if value.type.dtype == "bool" else apply_ufunc(scope, node, "absolute", args)
    if name == "bool":
        return truth(value)
    if value.type.kind == "c":
        raise scope.error(f"{name} of a complex number: take .real, .imag or abs(...)", node)
    return cast(value, "int64", INDEX) if name == "int" else _weak_float(value)


def _weak_float(value: Expr) -> Expr:
    """``float(value)``: a Python float, so it does not widen what it meets."""
    if isinstance(value, Const):
        return Const(WEAK_FLOAT, float(value.value))
    if value.type.dtype == "float64":
        return Op(WEAK_FLOAT, "positive", (value,))
    return cast(value, "float64", WEAK_FLOAT)


def _complex(scope: Scope, node: ast.Call, args: list[Expr]) -> Expr:
    if any(arg.type.kind == "c" for arg in args):
        raise scope.error("complex takes real numbers", node)
    result = WEAK_COMPLEX
    for arg in args:
        _, result = resolve(np.add, [arg.type, result])
    part = "float32" if result.dtype == "complex64" else "float64"
    parts = [cast(arg, part) for arg in args]
    if len(parts) == 1:
        parts.append(Const(Scalar(part, Origin.ELEMENT), 0.0))
    return Op(result, "complex", tuple(parts))


def _extreme(scope: Scope, node: ast.AST, name: str, args: list[Expr]) -> Expr:
    """Python's rule: the first of equal ones; NaN never replaces what stands before it."""
    result = common(*(arg.type for arg in args))
    if result.kind == "c":
        raise scope.error(f"complex numbers have no order; {name} takes real numbers", node)
    value = cast(args[0], result.dtype)
    for arg in args[1:]:
        value = Op(result, f"python_{name}", (value, cast(arg, result.dtype)))
    return value


def _round(scope: Scope, node: ast.Call, args: list[Expr], *, python: bool) -> Expr:
    """Half to even; with decimals as ``np.round`` does, by a power of ten."""
    value = args[0]
    if value.type.kind == "c":
        raise scope.error("round takes a real number", node)
    decimals = 0
    if len(args) == 2:
        given = args[1].value if isinstance(args[1], Const) else None
        if type(given) is not int or abs(given) > _MAX_DECIMALS:
            raise scope.error("the number of decimals is a literal integer up to 15", node)
        decimals = given
    if value.type.kind in "biu":
        if decimals < 0:
            raise scope.error("round of an integer takes no negative decimals", node)
        return cast(value, "int64", INDEX) if python and value.type.kind == "b" else value
    if decimals == 0:
        rounded = apply_ufunc(scope, node, "rint", (value,))
        return cast(rounded, "int64", INDEX) if python and len(args) == 1 else rounded
    scale = Const(WEAK_FLOAT, 10.0 ** abs(decimals))
    first, second = ("multiply", "true_divide") if decimals > 0 else ("true_divide", "multiply")
    scaled = apply_ufunc(scope, node, first, (value, scale))
    rounded = apply_ufunc(scope, node, "rint", (scaled,))
    return apply_ufunc(scope, node, second, (rounded, scale))


def _math(scope: Scope, node: ast.Call, name: str, args: list[Expr]) -> Expr:
    known = (_MATH_FLOAT | _MATH_TEST | set(_MATH_TO_INT) | {"fma"}) - _MATH_LEFT_OUT
    if name not in known:
        raise scope.error(f"math.{name} is not part of kernels", node)
    if any(arg.type.kind == "c" for arg in args):
        raise scope.error(f"math.{name} takes real numbers; use np.{name}", node)
    if name == "fma":
        return _fma(scope, node, args)
    if name == "log" and len(args) == 2:
        top, base = (_math(scope, node, "log", [arg]) for arg in args)
        return apply_ufunc(scope, node, "true_divide", (top, base))
    count = 2 if name in _MATH_TWO else 1
    _arity(scope, node, args, count, count)
    floats = _as_floats(args)
    if name in _MATH_TEST:
        return Op(BOOL, name, tuple(floats))
    if name in _MATH_TO_INT:
        return cast(apply_ufunc(scope, node, name, floats), "int64", INDEX)
    if name in _MATH_AS_UFUNC:
        return apply_ufunc(scope, node, _MATH_AS_UFUNC[name], floats)
    return Op(floats[0].type, f"math_{name}", tuple(floats))


def _as_floats(args: list[Expr]) -> list[Expr]:
    """All in one float dtype: integers are Python ints here and compute in float64."""
    types = [arg.type if arg.type.kind == "f" else WEAK_FLOAT for arg in args]
    result = common(*types)
    return [cast(arg, result.dtype, result) for arg in args]


def _ufunc(scope: Scope, node: ast.Call, name: str, args: list[Expr]) -> Expr:
    name = _OPERATORS.get(name, name)
    ufunc = getattr(np, name, None)
    if name in _UFUNCS_LEFT_OUT or not isinstance(ufunc, np.ufunc) or ufunc.nout != 1:
        raise scope.error(f"np.{name} is not part of kernels", node)
    _arity(scope, node, args, ufunc.nin, ufunc.nin)
    comparisons: dict[str, ast.cmpop] = {
        "equal": ast.Eq(),
        "not_equal": ast.NotEq(),
        "less": ast.Lt(),
        "less_equal": ast.LtE(),
        "greater": ast.Gt(),
        "greater_equal": ast.GtE(),
    }
    if name in comparisons:
        return operations.compare(scope, node, comparisons[name], *args)
    if name.startswith("logical_"):
        return Op(BOOL, name, tuple(truth(arg) for arg in args))
    if name == "sign" and args[0].type.kind == "c":
        raise scope.error("np.sign of a complex number: write x / abs(x)", node)
    if name == "power":
        return operations.binary(scope, node, ast.Pow(), *args)
    return apply_ufunc(scope, node, name, args)


def _numpy(scope: Scope, node: ast.Call, name: str, args: list[Expr]) -> Expr:
    if name == "where":
        _arity(scope, node, args, 3, 3)
        return select(truth(args[0]), args[1], args[2])
    if name == "clip":
        _arity(scope, node, args, 3, 3)
        raised = apply_ufunc(scope, node, "maximum", args[:2])
        return apply_ufunc(scope, node, "minimum", (raised, args[2]))
    if name in ("round", "around"):
        _arity(scope, node, args, 1, 2)
        return _round(scope, node, args, python=False)
    if name in ("real", "imag"):
        _arity(scope, node, args, 1, 1)
        return part(args[0], name)
    raise scope.error(
        f"np.{name} is not part of kernels, which compute one element at a time", node
    )


def part(value: Expr, name: str) -> Expr:
    """``value.real`` or ``value.imag``."""
    if value.type.kind != "c":
        return value if name == "real" else Const(value.type, 0)
    half = "float32" if value.type.dtype == "complex64" else "float64"
    return Op(Scalar(half, value.type.origin), name, (value,))


def _dtype(scope: Scope, node: ast.Call, name: str, args: list[Expr]) -> Expr:
    if name not in COMPUTABLE:
        hint = "; it can be held and moved, not computed with" if name == "float16" else ""
        raise scope.error(f"kernels do not compute with {name}{hint}", node)
    _arity(scope, node, args, 1, 1)
    value, explicit = args[0], Scalar(name, Origin.EXPLICIT)
    if isinstance(value, Const) and not isinstance(value.value, np.generic):
        try:
            converted = np.dtype(name).type(value.value)
        except (OverflowError, TypeError) as reason:
            raise scope.error(str(reason), node) from None
        return Const(of_number(converted), converted)
    return (
        Op(explicit, "positive", (value,))
        if value.type.dtype == name
        else cast(value, name, explicit)
    )


def _fma(scope: Scope, node: ast.Call, args: list[Expr]) -> Expr:
    _arity(scope, node, args, 3, 3)
    result = common(*(arg.type for arg in args))
    if result.kind in "biu":
        result = WEAK_FLOAT if result in (WEAK_INT, INDEX) else Scalar("float64", Origin.ELEMENT)
    if result.kind == "c":
        raise scope.error("fma takes real numbers", node)
    return Op(result, "fma", tuple(cast(arg, result.dtype) for arg in args))
