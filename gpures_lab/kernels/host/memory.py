"""Loads, stores and bounds checks of one compiled kernel as LLVM instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gpures_lab.kernels.host.conversion import make_complex
from gpures_lab.kernels.host.machine import NUMBA_TYPES, is_device

__all__ = ["arguments", "array_access"]

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_STORED: dict[str, Any] = {"float32": ir.FloatType(), "float64": ir.DoubleType()}


def _stored(dtype: str) -> Any:
    """How a real dtype lies in memory: bool takes a byte."""
    return _STORED.get(dtype) or ir.IntType(8 * np.dtype(dtype).itemsize)


def _pointer(builder: Any, base: Any, index: Any, stored: Any) -> Any:
    typed = builder.bitcast(base, ir.PointerType(stored))
    return builder.gep(typed, [index], inbounds=True)


def _load_value(builder: Any, base: Any, index: Any, dtype: str) -> tuple[Any, list[Any]]:
    """The value, and the load instructions that fetched it."""
    if dtype.startswith("complex"):
        half = "float32" if dtype == "complex64" else "float64"
        first = builder.shl(index, ir.Constant(_WORD, 1))
        second = builder.add(first, ir.Constant(_WORD, 1))
        parts = [
            builder.load(_pointer(builder, base, each, _stored(half))) for each in (first, second)
        ]
        return make_complex(builder, *parts), parts
    loaded = builder.load(_pointer(builder, base, index, _stored(dtype)))
    if dtype == "bool":
        return builder.icmp_unsigned("!=", loaded, ir.Constant(_BYTE, 0)), [loaded]
    return loaded, [loaded]


def _store_value(builder: Any, base: Any, index: Any, dtype: str, value: Any) -> list[Any]:
    if dtype.startswith("complex"):
        half = "float32" if dtype == "complex64" else "float64"
        first = builder.shl(index, ir.Constant(_WORD, 1))
        second = builder.add(first, ir.Constant(_WORD, 1))
        return [
            builder.store(
                builder.extract_value(value, k), _pointer(builder, base, each, _stored(half))
            )
            for k, each in enumerate((first, second))
        ]
    if dtype == "bool":
        value = builder.zext(value, _BYTE)
    return [builder.store(value, _pointer(builder, base, index, _stored(dtype)))]


class _Scopes:
    """Tells LLVM that distinct arrays do not overlap.

    Without it a loop over several would test every pair before each call, and beyond a few pairs
    would not be vectorized at all.
    """

    def __init__(self, slot: int, count: int) -> None:
        self.slot = slot
        self.count = count

    def mark(self, builder: Any, instructions: Sequence[Any]) -> None:
        if self.count < 2:
            return
        module = builder.module
        domain = module.add_metadata(["gpures arrays"])
        scopes = [module.add_metadata([f"gpures array {k}", domain]) for k in range(self.count)]
        own = module.add_metadata([scopes[self.slot]])
        others = module.add_metadata([s for k, s in enumerate(scopes) if k != self.slot])
        for instruction in instructions:
            instruction.set_metadata("alias.scope", own)
            instruction.set_metadata("noalias", others)


def array_access(slot: int, dtype: str, count: int) -> dict[str, Any]:
    """``load``, ``store`` and their guarded forms for array ``slot`` of ``count``.

    Guarded forms take an element number that is negative where the access is out of range: the
    load gives 0, the store does nothing.
    """
    kind = NUMBA_TYPES[dtype]
    scopes = _Scopes(slot, count)

    def load(_typing, _base, _index):  # type: ignore[no-untyped-def]
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            value, instructions = _load_value(builder, args[0], args[1], dtype)
            scopes.mark(builder, instructions)
            return value

        return kind(types.voidptr, types.int64), codegen

    def guarded_load(_typing, _base, _index):  # type: ignore[no-untyped-def]
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            inside = builder.icmp_signed(">=", args[1], ir.Constant(_WORD, 0))
            before = builder.block
            with builder.if_then(inside, likely=True):
                value, instructions = _load_value(builder, args[0], args[1], dtype)
                scopes.mark(builder, instructions)
                loaded = builder.block
            merged = builder.phi(value.type)
            merged.add_incoming(value, loaded)
            merged.add_incoming(ir.Constant(value.type, None), before)
            return merged

        return kind(types.voidptr, types.int64), codegen

    def store(_typing, _base, _index, _value):  # type: ignore[no-untyped-def]
        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            scopes.mark(builder, _store_value(builder, args[0], args[1], dtype, args[2]))
            return context.get_dummy_value()

        return types.void(types.voidptr, types.int64, kind), codegen

    def guarded_store(_typing, _base, _index, _value):  # type: ignore[no-untyped-def]
        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            inside = builder.icmp_signed(">=", args[1], ir.Constant(_WORD, 0))
            with builder.if_then(inside, likely=True):
                scopes.mark(builder, _store_value(builder, args[0], args[1], dtype, args[2]))
            return context.get_dummy_value()

        return types.void(types.voidptr, types.int64, kind), codegen

    named = {
        "load": load,
        "guarded_load": guarded_load,
        "store": store,
        "guarded_store": guarded_store,
    }
    return {f"{name}{slot}": intrinsic(function) for name, function in named.items()}


def _address(_typing, _table, _position):  # type: ignore[no-untyped-def]
    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(_pointer(builder, args[0], args[1], ir.PointerType(_BYTE)))

    return types.voidptr(types.voidptr, types.int64), codegen


def _word(_typing, _table, _position):  # type: ignore[no-untyped-def]
    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(_pointer(builder, args[0], args[1], _WORD))

    return types.int64(types.voidptr, types.int64), codegen


def _param(dtype: str) -> Any:
    """Reads a param whose bytes begin at a word, low address first."""

    def op(_typing, _table, _position):  # type: ignore[no-untyped-def]
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            at = _pointer(builder, args[0], args[1], _WORD)
            return _load_value(builder, at, ir.Constant(_WORD, 0), dtype)[0]

        return NUMBA_TYPES[dtype](types.voidptr, types.int64), codegen

    return intrinsic(op)


def _claim(builder: Any, words: Any) -> Any:
    """Whether this is the first access outside; on a device the block's threads ask at once."""
    zero = ir.Constant(_WORD, 0)
    at = _pointer(builder, words, zero, _WORD)
    fresh = builder.load(at)
    if is_device(builder):
        fresh = builder.extract_value(
            builder.cmpxchg(at, zero, ir.Constant(_WORD, 1), "monotonic"), 0
        )
    return builder.icmp_unsigned("==", fresh, zero)


def _step(_typing, _fault, _slot, _axis, _before, _index, _extent):  # type: ignore[no-untyped-def]
    """One more subscript: ``before * extent + index``, or -1 once any subscript was outside.

    The first access outside fills the fault words (kernel_abi.hpp).
    """

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        words, slot, axis, before, index, extent = args
        zero = ir.Constant(_WORD, 0)
        sound = builder.icmp_signed(">=", before, zero)
        # Unsigned, so that a negative index is outside too.
        inside = builder.icmp_unsigned("<", index, extent)
        failed = builder.and_(sound, builder.not_(inside))
        with builder.if_then(failed, likely=False), builder.if_then(_claim(builder, words)):
            report = (ir.Constant(_WORD, 1), slot, axis, index, extent)
            for position, value in enumerate(report):
                at = _pointer(builder, words, ir.Constant(_WORD, position), _WORD)
                builder.store(value, at)
        offset = builder.add(builder.mul(before, extent), index)
        return builder.select(builder.and_(sound, inside), offset, ir.Constant(_WORD, -1))

    five = (types.int64,) * 5
    return types.int64(types.voidptr, *five), codegen


def arguments() -> dict[str, Any]:
    """What reads the call's arguments, and ``step``, the bounds check."""
    table = {"address": intrinsic(_address), "word": intrinsic(_word), "step": intrinsic(_step)}
    return table | {f"param_{dtype}": _param(dtype) for dtype in NUMBA_TYPES}
