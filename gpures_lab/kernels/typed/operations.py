"""Operators: which NumPy loop they are, and the conversions around it."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpures_lab.kernels.typed.scalars import (
    BOOL,
    INDEX,
    WEAK_FLOAT,
    WEAK_INT,
    Scalar,
    common,
    of_number,
    resolve,
)
from gpures_lab.kernels.typed.scope import Scope
from gpures_lab.kernels.typed.tree import Cast, Const, Expr, Op, Select

__all__ = [
    "apply_ufunc",
    "as_index",
    "binary",
    "cast",
    "compare",
    "fitting",
    "select",
    "truth",
    "unary",
]

_BINARY: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("subtract", operator.sub),
    ast.Mult: ("multiply", operator.mul),
    ast.Div: ("true_divide", operator.truediv),
    ast.FloorDiv: ("floor_divide", operator.floordiv),
    ast.Mod: ("remainder", operator.mod),
    ast.Pow: ("power", operator.pow),
    ast.LShift: ("left_shift", operator.lshift),
    ast.RShift: ("right_shift", operator.rshift),
    ast.BitAnd: ("bitwise_and", operator.and_),
    ast.BitOr: ("bitwise_or", operator.or_),
    ast.BitXor: ("bitwise_xor", operator.xor),
}

_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}

_MAX_FOLDED_BITS = 4096


def cast(value: Expr, dtype: str, origin: Scalar | None = None) -> Expr:
    """``value`` in ``dtype``, converted as ``astype`` does."""
    target = Scalar(dtype, (origin or value.type).origin)
    if value.type.dtype == dtype:
        return value
    if isinstance(value, Const) and _keeps(value, dtype):
        return Const(target, value.value)
    if isinstance(value, Cast) and value.value.type.dtype == dtype and _is_widening(value):
        return value.value
    return Cast(target, value)


def _keeps(value: Const, dtype: str) -> bool:
    """Whether a literal can be written in ``dtype`` at once."""
    kind = np.dtype(dtype).kind
    if isinstance(value.value, (np.generic, bool)) or kind == "b":
        return False
    if isinstance(value.value, int):
        return kind in "fc" or _holds(dtype, value.value)
    return kind == "c" or (kind == "f" and isinstance(value.value, float))


def _is_widening(value: Cast) -> bool:
    return bool(np.can_cast(value.value.type.dtype, value.type.dtype, "safe"))


def as_index(scope: Scope, value: Expr, node: ast.AST, what: str) -> Expr:
    """``value`` as int64, or an error that says what must be an integer."""
    if not value.type.is_integer:
        raise scope.error(
            f"{what} is a {value.type.dtype}, not an integer; write int(...) around it", node
        )
    return cast(value, "int64", INDEX)


def truth(value: Expr) -> Expr:
    """``bool(value)``."""
    return cast(value, "bool", BOOL)


def select(test: Expr, then: Expr, other: Expr) -> Expr:
    """``then if test else other``."""
    result = common(then.type, other.type)
    return Select(result, test, cast(then, result.dtype), cast(other, result.dtype))


def apply_ufunc(
    scope: Scope, node: ast.AST, name: str, args: Sequence[Expr], shown: str = ""
) -> Expr:
    """The scalar operation that NumPy's ufunc ``name`` does on each element."""
    ufunc = getattr(np, name)
    types = [arg.type for arg in args]
    try:
        loop, result = resolve(ufunc, types)
    except TypeError:
        dtypes = " and ".join(each.dtype for each in types)
        raise scope.error(f"{shown or 'np.' + name} has no version for {dtypes}", node) from None
    for arg, dtype in zip(args, loop, strict=True):
        _check_fits(scope, node, arg, dtype)
    converted = tuple(cast(arg, dtype) for arg, dtype in zip(args, loop, strict=True))
    return Op(result, name, converted)


def _check_fits(scope: Scope, node: ast.AST, arg: Expr, dtype: str) -> None:
    """A literal that its dtype cannot hold is an error, as in NumPy; a param's value wraps."""
    kind = np.dtype(dtype).kind
    if not isinstance(arg, Const) or arg.type.kind not in "iu" or kind not in "iu":
        return
    if isinstance(arg.value, np.generic):
        return
    limits = np.iinfo(dtype)
    if not limits.min <= arg.value <= limits.max:
        raise scope.error(
            f"{arg.value} does not fit {dtype}; write int(...) around the element, or np.int64(...)"
            " around the number, to compute in int64",
            node,
        )


def binary(scope: Scope, node: ast.AST, op: ast.operator, left: Expr, right: Expr) -> Expr:
    """``left op right``."""
    if type(op) not in _BINARY:
        raise scope.error("matrix multiplication is not part of kernels", node)
    name, fold = _BINARY[type(op)]
    folded = _fold(scope, node, fold, left, right)
    if folded is not None:
        return folded
    left, right = fitting(scope, node, left), fitting(scope, node, right)
    if name == "power":
        return _power(scope, node, left, right)
    return apply_ufunc(scope, node, name, (left, right), _shown(op))


def _shown(op: ast.operator) -> str:
    zero = ast.Constant(value=0)
    return ast.unparse(ast.BinOp(left=zero, op=op, right=zero))[2:-2]


def _fold(
    scope: Scope, node: ast.AST, fold: Callable[[Any, Any], Any], left: Expr, right: Expr
) -> Expr | None:
    """Literals combine in Python itself, before any dtype: ``1 / 3`` is one literal."""
    if not (isinstance(left, Const) and isinstance(right, Const)):
        return None
    values = (left.value, right.value)
    if any(isinstance(value, np.generic) for value in values):
        return None
    if fold in (operator.pow, operator.lshift) and isinstance(values[1], int):
        size = abs(values[0]) if isinstance(values[0], int) else 1
        if size > 1 and abs(values[1]) * size.bit_length() > _MAX_FOLDED_BITS:
            raise _too_large(scope, node)
    try:
        value = fold(*values)
    except ZeroDivisionError:
        if all(isinstance(each, int) for each in values):
            raise scope.error(f"{ast.unparse(node)} divides by zero", node) from None
        return None  # NumPy's inf or NaN
    except (OverflowError, TypeError, ValueError):
        return None
    return Const(of_number(value), value)


def fitting(scope: Scope, node: ast.AST, value: Expr) -> Expr:
    """``value``, unless it is a literal beyond 64 bits: those only occur within others."""
    literal = value.value if isinstance(value, Const) else 0
    if isinstance(literal, int) and not -(2**63) <= literal < 2**64:
        raise _too_large(scope, node)
    return value


def _too_large(scope: Scope, node: ast.AST) -> Exception:
    return scope.error(f"{ast.unparse(node)} does not fit 64 bits; a float does, as in 1e20", node)


def _power(scope: Scope, node: ast.AST, base: Expr, exponent: Expr) -> Expr:
    """Small constant powers are products, as NumPy's are; the rest is ``pow``."""
    value = exponent.value if isinstance(exponent, Const) else None
    if type(value) is int and value < 0 and base.type.kind not in "fc":
        if not base.type.is_weak and base.type != INDEX:
            raise scope.error("integers to negative integer powers are not allowed", node)
        base = cast(base, "float64", WEAK_FLOAT)
    if type(value) in (int, float) and base.type.kind in "fc":
        if value == 2:
            return apply_ufunc(scope, node, "square", (base,))
        if value == 0.5 and base.type.kind == "f":
            return apply_ufunc(scope, node, "sqrt", (base,))
        if value == -1:
            return apply_ufunc(scope, node, "reciprocal", (base,))
        if value in (3, 4) and base.type.kind == "f":
            square = apply_ufunc(scope, node, "square", (base,))
            other = base if value == 3 else square
            return apply_ufunc(scope, node, "multiply", (square, other))
    result = apply_ufunc(scope, node, "power", (base, exponent), "**")
    if result.type.kind != "c":
        return result
    # By NumPy a zero to any power with a positive real part is 0, not NaN.
    assert isinstance(result, Op)
    zero, half = Const(result.type, 0), Scalar(_half(result.type.dtype), result.type.origin)
    is_zero = Op(BOOL, "equal", (result.args[0], zero))
    real = Op(half, "real", (result.args[1],))
    positive = Op(BOOL, "greater", (real, Const(half, 0.0)))
    return Select(result.type, Op(BOOL, "and_then", (is_zero, positive)), zero, result)


def _half(dtype: str) -> str:
    return "float32" if dtype == "complex64" else "float64"


def unary(scope: Scope, node: ast.AST, op: ast.unaryop, value: Expr) -> Expr:
    """``-value``, ``+value``, ``~value`` or ``not value``."""
    if isinstance(op, ast.Not):
        return Op(BOOL, "logical_not", (truth(value),))
    if isinstance(value, Const) and not isinstance(value.value, np.generic):
        folding: dict[type[ast.unaryop], Callable[[Any], Any]] = {
            ast.USub: operator.neg,
            ast.UAdd: operator.pos,
        }
        if type(op) in folding and not isinstance(value.value, bool):
            folded = folding[type(op)](value.value)
            return Const(of_number(folded), folded)
    value = fitting(scope, node, value)
    name = {ast.USub: "negative", ast.UAdd: "positive", ast.Invert: "invert"}[type(op)]
    return apply_ufunc(
        scope, node, name, (value,), {"negative": "-", "positive": "+"}.get(name, "~")
    )


def compare(scope: Scope, node: ast.AST, op: ast.cmpop, left: Expr, right: Expr) -> Expr:
    """One comparison; integers compare by value, whatever their dtypes."""
    if type(op) not in _COMPARE:
        raise scope.error("`is` and `in` are not part of kernels; use == or !=", node)
    name = _COMPARE[type(op)]
    kinds = {left.type.kind, right.type.kind}
    if "c" in kinds and name not in ("equal", "not_equal"):
        raise scope.error("complex numbers have no order; compare abs(...), .real or .imag", node)
    if kinds <= {"i", "u"} and left.type.dtype != right.type.dtype:
        return _compare_integers(name, left, right)
    types = (left.type, right.type)
    loop, _ = resolve(np.equal if kinds == {"b"} else getattr(np, name), types)
    return Op(BOOL, name, (cast(left, loop[0]), cast(right, loop[1])))


def _compare_integers(name: str, left: Expr, right: Expr) -> Expr:
    for one, other in ((left, right), (right, left)):
        # A literal that the element's own dtype holds keeps the comparison narrow.
        if isinstance(one, Const) and _holds(other.type.dtype, one.value):
            dtype = other.type.dtype
            return Op(BOOL, name, (cast(left, dtype), cast(right, dtype)))
    if "uint64" not in (left.type.dtype, right.type.dtype):
        return Op(BOOL, name, (cast(left, "int64"), cast(right, "int64")))
    if {left.type.kind, right.type.kind} == {"u"}:
        return Op(BOOL, name, (cast(left, "uint64"), cast(right, "uint64")))
    signed, is_left = (left, True) if left.type.kind == "i" else (right, False)
    below = Op(BOOL, "less", (cast(signed, "int64"), Const(WEAK_INT, 0)))
    # A negative number is below any unsigned one; otherwise both fit uint64.
    if_below = name in (
        "not_equal",
        *(("less", "less_equal") if is_left else ("greater", "greater_equal")),
    )
    plain = Op(BOOL, name, (cast(left, "uint64"), cast(right, "uint64")))
    return Select(BOOL, below, Const(BOOL, if_below), plain)


def _holds(dtype: str, value: Any) -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= int(value) <= limits.max)
