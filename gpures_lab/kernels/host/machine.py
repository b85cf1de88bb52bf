"""The operations of a typed body as LLVM instructions, through Numba intrinsics.

Each operation takes and gives exactly the dtypes that the typed body says: Numba's own promotion
(float32 with an int64 gives float64, uint8 sums give uint64) never gets a say. None of them can
raise or trap, so compiled bodies have no error path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

__all__ = ["NUMBA_TYPES", "intrinsic_of", "is_device", "libdevice", "operations"]

Build = Callable[[Any, Any, list[Any]], Any]

NUMBA_TYPES: dict[str, Any] = {
    "bool": types.boolean,
    "int8": types.int8,
    "int16": types.int16,
    "int32": types.int32,
    "int64": types.int64,
    "uint8": types.uint8,
    "uint16": types.uint16,
    "uint32": types.uint32,
    "uint64": types.uint64,
    "float32": types.float32,
    "float64": types.float64,
    "complex64": types.complex64,
    "complex128": types.complex128,
}


def is_device(builder: Any) -> bool:
    """Whether the code under way is for a GPU."""
    return "nvptx" in builder.module.triple


def _zero(value: Any) -> Any:
    return ir.Constant(value.type, 0)


def _constant(value: Any, number: float) -> Any:
    return ir.Constant(value.type, number)


def _is_float(kind: Any) -> bool:
    return isinstance(kind, types.Float)


def _is_signed(kind: Any) -> bool:
    return bool(kind.name.startswith("int"))


# Intrinsics that NVIDIA's LLVM does not take, and its own functions that are the same.
_LIBDEVICE = {"llvm.fabs": "fabs", "llvm.rint": "rint"}


def libdevice(builder: Any, name: str, args: list[Any]) -> Any:
    """A function of NVIDIA's math library over floats of one type."""
    kind = args[0].type
    symbol = f"__nv_{name}{'f' if kind == ir.FloatType() else ''}"
    declared = ir.FunctionType(kind, [kind] * len(args))
    known = builder.module.globals.get(symbol)
    return builder.call(known or ir.Function(builder.module, declared, symbol), args)


def _call(builder: Any, name: str, args: list[Any]) -> Any:
    """An LLVM intrinsic over values of one type."""
    if name in _LIBDEVICE and is_device(builder):
        return libdevice(builder, _LIBDEVICE[name], args)
    kind = args[0].type
    declared = ir.FunctionType(kind, [kind] * len(args))
    return builder.call(builder.module.declare_intrinsic(name, [kind], declared), args)


def _frem(builder: Any, top: Any, bottom: Any) -> Any:
    """The exact remainder; LLVM's own for GPUs is ``x - trunc(x / y) * y``, which is not."""
    if is_device(builder):
        return libdevice(builder, "fmod", [top, bottom])
    return builder.frem(top, bottom)


# Arithmetic ------------------------------------------------------------------------------------


def _plain(float_op: str, int_op: str, bool_op: str | None = None) -> Build:
    def build(builder: Any, kind: Any, args: list[Any]) -> Any:
        if kind == types.boolean and bool_op is not None:
            return getattr(builder, bool_op)(*args)
        return getattr(builder, float_op if _is_float(kind) else int_op)(*args)

    return build


def _negative(builder: Any, kind: Any, args: list[Any]) -> Any:
    if _is_float(kind) and is_device(builder):  # whose LLVM has no fneg yet
        return builder.fsub(_constant(args[0], -0.0), args[0])
    return builder.fneg(args[0]) if _is_float(kind) else builder.neg(args[0])


def _absolute(builder: Any, kind: Any, args: list[Any]) -> Any:
    value = args[0]
    if _is_float(kind):
        return _call(builder, "llvm.fabs", [value])
    if not _is_signed(kind):
        return value
    below = builder.icmp_signed("<", value, _zero(value))
    return builder.select(below, builder.neg(value), value)


def _sign(builder: Any, kind: Any, args: list[Any]) -> Any:
    """1, -1 or 0; NaN stays NaN."""
    value = args[0]
    zero, one = _constant(value, 0.0 if _is_float(kind) else 0), _constant(value, 1)
    above = _compare(">")(builder, kind, [value, zero])
    if not (_is_float(kind) or _is_signed(kind)):
        return builder.select(above, one, zero)
    below = _compare("<")(builder, kind, [value, zero])
    rest = zero
    if _is_float(kind):
        rest = builder.select(builder.fcmp_ordered("==", value, zero), zero, value)
    return builder.select(above, one, builder.select(below, _constant(value, -1), rest))


def _square(builder: Any, kind: Any, args: list[Any]) -> Any:
    if kind == types.boolean:
        return args[0]
    return (builder.fmul if _is_float(kind) else builder.mul)(args[0], args[0])


def _reciprocal(builder: Any, kind: Any, args: list[Any]) -> Any:
    value = args[0]
    if _is_float(kind):
        return builder.fdiv(_constant(value, 1.0), value)
    # Whole numbers: only 1 and -1 have one, everything else rounds to 0.
    keeps = builder.icmp_signed("==", value, _constant(value, 1))
    if _is_signed(kind):
        minus_one = builder.icmp_signed("==", value, _constant(value, -1))
        keeps = builder.or_(keeps, minus_one)
    return builder.select(keeps, value, _zero(value))


def _compare(sign: str) -> Build:
    def build(builder: Any, kind: Any, args: list[Any]) -> Any:
        if _is_float(kind):
            compare = builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered
        else:
            compare = builder.icmp_signed if _is_signed(kind) else builder.icmp_unsigned
        return compare(sign, *args)

    return build


# Integer division: by zero gives 0, and the one overflowing quotient wraps, as in NumPy. ---------


def _divide_parts(builder: Any, kind: Any, args: list[Any]) -> tuple[Any, Any, Any, Any]:
    """Truncated quotient and remainder of a division that cannot trap, and two conditions."""
    top, bottom = args
    by_zero = builder.icmp_unsigned("==", bottom, _zero(bottom))
    by_minus_one = ir.Constant(ir.IntType(1), 0)
    if _is_signed(kind):
        by_minus_one = builder.icmp_signed("==", bottom, _constant(bottom, -1))
    unsafe = builder.or_(by_zero, by_minus_one)
    safe = builder.select(unsafe, _constant(bottom, 1), bottom)
    quotient = (builder.sdiv if _is_signed(kind) else builder.udiv)(top, safe)
    remainder = builder.sub(top, builder.mul(quotient, safe))
    return quotient, remainder, by_zero, by_minus_one


def _rounds_down(builder: Any, remainder: Any, bottom: Any) -> Any:
    """Whether a truncated signed quotient lies above the floored one."""
    differ = builder.icmp_signed("<", builder.xor(remainder, bottom), _zero(bottom))
    return builder.and_(builder.icmp_signed("!=", remainder, _zero(remainder)), differ)


def _floor_divide(builder: Any, kind: Any, args: list[Any]) -> Any:
    if _is_float(kind):
        return _float_divmod(builder, args)[0]
    quotient, remainder, by_zero, by_minus_one = _divide_parts(builder, kind, args)
    if _is_signed(kind):
        down = _rounds_down(builder, remainder, args[1])
        quotient = builder.sub(quotient, builder.zext(down, quotient.type))
        quotient = builder.select(by_minus_one, builder.neg(args[0]), quotient)
    return builder.select(by_zero, _zero(quotient), quotient)


def _remainder(builder: Any, kind: Any, args: list[Any]) -> Any:
    if _is_float(kind):
        return _float_divmod(builder, args)[1]
    _, remainder, by_zero, by_minus_one = _divide_parts(builder, kind, args)
    if _is_signed(kind):
        down = _rounds_down(builder, remainder, args[1])
        remainder = builder.select(down, builder.add(remainder, args[1]), remainder)
    none = builder.or_(by_zero, by_minus_one)
    return builder.select(none, _zero(remainder), remainder)


def _fmod(builder: Any, kind: Any, args: list[Any]) -> Any:
    if _is_float(kind):
        return _frem(builder, *args)
    _, remainder, by_zero, by_minus_one = _divide_parts(builder, kind, args)
    return builder.select(builder.or_(by_zero, by_minus_one), _zero(remainder), remainder)


def _float_divmod(builder: Any, args: list[Any]) -> tuple[Any, Any]:
    """NumPy's ``npy_divmod``, step by step, without its branches."""
    top, bottom = args
    zero, one = _constant(top, 0.0), _constant(top, 1.0)
    raw = _frem(builder, top, bottom)
    by_zero = builder.fcmp_ordered("==", bottom, zero)
    whole = builder.fdiv(builder.fsub(top, raw), bottom)
    has_rest = builder.fcmp_unordered("!=", raw, zero)
    differ = builder.xor(
        builder.fcmp_ordered("<", bottom, zero), builder.fcmp_ordered("<", raw, zero)
    )
    adjust = builder.and_(has_rest, differ)
    rest = builder.select(adjust, builder.fadd(raw, bottom), raw)
    signed_zero = _call(builder, "llvm.copysign", [zero, bottom])
    rest = builder.select(has_rest, rest, signed_zero)
    whole = builder.select(adjust, builder.fsub(whole, one), whole)
    floored = _call(builder, "llvm.floor", [whole])
    above = builder.fcmp_ordered(">", builder.fsub(whole, floored), _constant(top, 0.5))
    floored = builder.select(above, builder.fadd(floored, one), floored)
    ratio = builder.fdiv(top, bottom)
    small = _call(builder, "llvm.copysign", [zero, ratio])
    quotient = builder.select(builder.fcmp_unordered("!=", whole, zero), floored, small)
    return builder.select(by_zero, ratio, quotient), builder.select(by_zero, raw, rest)


def _shift(name: str) -> Build:
    """Shifts by the width or more give what all bits shifted out give, as in NumPy."""

    def build(builder: Any, kind: Any, args: list[Any]) -> Any:
        value, by = args
        inside = builder.icmp_unsigned("<", by, _constant(by, kind.bitwidth))
        safe = builder.select(inside, by, _zero(by))
        outside = _zero(value)
        if name == "shl":
            shifted = builder.shl(value, safe)
        elif _is_signed(kind):
            shifted = builder.ashr(value, safe)
            outside = builder.ashr(value, _constant(value, kind.bitwidth - 1))
        else:
            shifted = builder.lshr(value, safe)
        return builder.select(inside, shifted, outside)

    return build


# Extremes --------------------------------------------------------------------------------------


def _python_extreme(sign: str) -> Build:
    def build(builder: Any, kind: Any, args: list[Any]) -> Any:
        first, second = args
        wins = _compare(sign)(builder, kind, [second, first])
        return builder.select(wins, second, first)

    return build


def _numpy_extreme(sign: str, *, skips_nan: bool) -> Build:
    def build(builder: Any, kind: Any, args: list[Any]) -> Any:
        first, second = args
        keeps = _compare(sign)(builder, kind, args)
        if _is_float(kind):
            tested = second if skips_nan else first
            keeps = builder.or_(keeps, builder.fcmp_unordered("uno", tested, tested))
        return builder.select(keeps, first, second)

    return build


# Everything by name ----------------------------------------------------------------------------


def _rounding(name: str) -> Build:
    def build(builder: Any, kind: Any, args: list[Any]) -> Any:
        return _call(builder, f"llvm.{name}", args) if _is_float(kind) else args[0]

    return build


def intrinsic_of(name: str, build: Build, *, result: Any = None, arity: int = 2) -> Any:
    """An intrinsic whose operands have one type; the result has it too, or ``result``."""

    def check(*operands: Any) -> Any:
        if any(operand != operands[0] for operand in operands):
            raise TypingError(f"{name} of {operands}: the typed body mixes dtypes")
        given = result if result is not None else operands[0]

        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return build(builder, operands[0], list(args))

        return given(*operands), codegen

    # Numba reads an intrinsic's parameter names, so each arity is written out.
    if arity == 1:

        def op(_typing, a):  # type: ignore[no-untyped-def]
            return check(a)
    elif arity == 2:

        def op(_typing, a, b):  # type: ignore[no-untyped-def,misc]
            return check(a, b)
    else:

        def op(_typing, a, b, c):  # type: ignore[no-untyped-def,misc]
            return check(a, b, c)

    op.__name__ = name
    return intrinsic(op)


_TWO: dict[str, Build] = {
    "add": _plain("fadd", "add", "or_"),
    "subtract": _plain("fsub", "sub"),
    "multiply": _plain("fmul", "mul", "and_"),
    "true_divide": _plain("fdiv", "fdiv"),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "left_shift": _shift("shl"),
    "right_shift": _shift("shr"),
    "bitwise_and": _plain("and_", "and_"),
    "bitwise_or": _plain("or_", "or_"),
    "bitwise_xor": _plain("xor", "xor"),
    "logical_and": _plain("and_", "and_"),
    "logical_or": _plain("or_", "or_"),
    "logical_xor": _plain("xor", "xor"),
    "python_min": _python_extreme("<"),
    "python_max": _python_extreme(">"),
    "maximum": _numpy_extreme(">=", skips_nan=False),
    "minimum": _numpy_extreme("<=", skips_nan=False),
    "fmax": _numpy_extreme(">=", skips_nan=True),
    "fmin": _numpy_extreme("<=", skips_nan=True),
    "copysign": lambda builder, _, args: _call(builder, "llvm.copysign", args),
}

_ONE: dict[str, Build] = {
    "negative": _negative,
    "positive": lambda _builder, _kind, args: args[0],
    "invert": lambda builder, _, args: builder.not_(args[0]),
    "logical_not": lambda builder, _, args: builder.not_(args[0]),
    "absolute": _absolute,
    "fabs": _absolute,
    "sign": _sign,
    "square": _square,
    "reciprocal": _reciprocal,
    "sqrt": lambda builder, _, args: _call(builder, "llvm.sqrt", args),
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "trunc": _rounding("trunc"),
    "rint": _rounding("rint"),
}

_COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}


def operations() -> dict[str, Any]:
    """Every operation over real numbers, by the name the typed body uses."""
    table = {name: intrinsic_of(name, build) for name, build in _TWO.items()}
    table |= {name: intrinsic_of(name, build, arity=1) for name, build in _ONE.items()}
    table |= {
        name: intrinsic_of(name, _compare(sign), result=types.boolean)
        for name, sign in _COMPARISONS.items()
    }
    table["fma"] = intrinsic_of(
        "fma", lambda builder, _, args: _call(builder, "llvm.fma", args), arity=3
    )
    return table
