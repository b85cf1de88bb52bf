"""Conversions between dtypes as LLVM instructions: what ``astype`` does on this machine."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gpures_lab.kernels.host.machine import NUMBA_TYPES, is_device

__all__ = ["conversions"]

_TWO_TO_63 = float(2**63)


def _to_bool(builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Complex):
        parts = [builder.extract_value(value, k) for k in range(2)]
        tests = [builder.fcmp_unordered("!=", p, ir.Constant(p.type, 0.0)) for p in parts]
        return builder.or_(*tests)
    if isinstance(kind, types.Float):
        return builder.fcmp_unordered("!=", value, ir.Constant(value.type, 0.0))
    return builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0))


def _float_to_int(builder: Any, value: Any, target: Any) -> Any:
    """Through the register width that NumPy's C code uses, so that wrapped values agree."""
    width = target.bitwidth
    word = ir.IntType(64 if width == 64 or (width == 32 and not target.signed) else 32)
    whole = _truncate(builder, value, word)
    if width == 64 and not target.signed:
        limit = ir.Constant(value.type, _TWO_TO_63)
        big = builder.fcmp_ordered(">=", value, limit)
        high = _truncate(builder, builder.fsub(value, limit), word)
        high = builder.xor(high, ir.Constant(word, -(2**63)))
        return builder.select(big, high, whole)
    return whole if width == word.width else builder.trunc(whole, ir.IntType(width))


def _truncate(builder: Any, value: Any, word: Any) -> Any:
    """A float that does not fit gives the most negative number, as x86-64 does by itself."""
    whole = builder.fptosi(value, word)
    if not is_device(builder):
        return whole
    limit = float(2 ** (word.width - 1))
    below = builder.fcmp_ordered("<", value, ir.Constant(value.type, limit))
    wide = word.width == 32 and value.type == ir.DoubleType()
    above = builder.fcmp_ordered(
        ">" if wide else ">=", value, ir.Constant(value.type, -limit - wide)
    )
    return builder.select(builder.and_(below, above), whole, ir.Constant(word, -int(limit)))


def _to_int(builder: Any, kind: Any, value: Any, target: Any) -> Any:
    if isinstance(kind, types.Float):
        return _float_to_int(builder, value, target)
    goal = ir.IntType(target.bitwidth)
    if value.type.width >= goal.width:
        return value if value.type.width == goal.width else builder.trunc(value, goal)
    signed = kind.name.startswith("int")
    return (builder.sext if signed else builder.zext)(value, goal)


def _to_float(builder: Any, kind: Any, value: Any, target: Any) -> Any:
    goal = ir.FloatType() if target.bitwidth == 32 else ir.DoubleType()
    if isinstance(kind, types.Float):
        if kind == target:
            return value
        return (builder.fptrunc if target.bitwidth == 32 else builder.fpext)(value, goal)
    signed = kind.name.startswith("int")
    return (builder.sitofp if signed else builder.uitofp)(value, goal)


def convert(builder: Any, kind: Any, value: Any, target: Any) -> Any:
    """``value`` of Numba type ``kind`` as Numba type ``target``."""
    if kind == target:
        return value
    if target == types.boolean:
        return _to_bool(builder, kind, value)
    if isinstance(target, types.Complex):
        part = target.underlying_float
        pair = [value, None]
        if isinstance(kind, types.Complex):
            pair = [builder.extract_value(value, k) for k in range(2)]
            kind = kind.underlying_float
        real = _to_float(builder, kind, pair[0], part)
        imaginary = ir.Constant(real.type, 0.0)
        if pair[1] is not None:
            imaginary = _to_float(builder, kind, pair[1], part)
        return make_complex(builder, real, imaginary)
    if isinstance(kind, types.Complex):
        kind, value = kind.underlying_float, builder.extract_value(value, 0)
    if isinstance(target, types.Float):
        return _to_float(builder, kind, value, target)
    return _to_int(builder, kind, value, target)


def make_complex(builder: Any, real: Any, imaginary: Any) -> Any:
    """A complex value of two parts."""
    whole = ir.Constant(ir.LiteralStructType([real.type, real.type]), ir.Undefined)
    return builder.insert_value(builder.insert_value(whole, real, 0), imaginary, 1)


def _conversion(name: str, target: Any) -> Any:
    def op(_typing, a):  # type: ignore[no-untyped-def]
        def codegen(_context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return convert(builder, signature.args[0], args[0], target)

        return target(a), codegen

    op.__name__ = name
    return intrinsic(op)


def _complex(_typing, a, b):  # type: ignore[no-untyped-def]
    target = types.complex64 if a == types.float32 else types.complex128

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return make_complex(builder, args[0], args[1])

    return target(a, b), codegen


def _part(position: int) -> Any:
    def op(_typing, a):  # type: ignore[no-untyped-def]
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.extract_value(args[0], position)

        return a.underlying_float(a), codegen

    return intrinsic(op)


def conversions() -> dict[str, Any]:
    """``to_<dtype>`` for each dtype, and complex numbers from and to their parts."""
    table = {f"to_{name}": _conversion(f"to_{name}", kind) for name, kind in NUMBA_TYPES.items()}
    return table | {"complex": intrinsic(_complex), "real": _part(0), "imag": _part(1)}
