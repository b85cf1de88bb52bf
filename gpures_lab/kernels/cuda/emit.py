"""The text of a Python kernel for Numba's CUDA target, from the same typed body as the host's.

A map becomes a function of one index and one element of each array, which its C++ wrapper
(`wrapper.py`) calls for packs of elements. Anything else becomes the loop of one thread: every
``threads``-th index, with the call's arguments read once.
"""

from __future__ import annotations

from typing import Any

from gpures_lab.kernels.host.emit import (
    Emitted,
    body_text,
    called_functions,
    function_text,
    prologue,
)
from gpures_lab.kernels.host.text import BodyText
from gpures_lab.kernels.typed.accesses import accesses, walk
from gpures_lab.kernels.typed.kernel import TypedKernel
from gpures_lab.kernels.typed.tree import Expr, Index, Load, Op, Return, Store

__all__ = ["emit_loop", "emit_map", "is_packable", "written_first", "written_slots"]


def is_packable(kernel: TypedKernel) -> bool:
    """Whether packs of neighbouring elements can be computed together.

    A map of one index; or of several whose values the body uses in subscripts only, so that where
    every array has the space's shape, the space is one row.
    """
    if not kernel.is_map or kernel.indices == 1:
        return kernel.is_map
    # A map's subscripts are indices themselves; counted, because equal ones may be one object.
    in_subscripts = sum(len(access.subscripts) for access in accesses(kernel.body))
    nodes = (node for statement in kernel.body.body for node in walk(statement))
    return sum(isinstance(node, Index) for node in nodes) == in_subscripts


def emit_map(kernel: TypedKernel) -> Emitted:
    """``kernel(params, i0, count, p0, p1, ...)``: each pointer is to this index's element."""
    constants: dict[str, Any] = {}
    lines, names = _functions(kernel, constants)
    pointers = ", ".join(f"p{slot}" for slot in range(len(kernel.arrays)))
    lines.append(f"def kernel(params, i0, count, {pointers}):")
    lines.append("    fault = params")  # a map's functions take it and cannot use it
    lines += [
        f"    q{position} = param_{dtype}(params, {word})"
        for position, (dtype, word) in enumerate(kernel.params)
    ]
    # One round of a loop, so that a bare return leaves it as it does everywhere else.
    lines.append("    for once in range(1):")
    text = _ElementText(kernel.body, kernel.arrays, constants, None, "continue", depth=2)
    lines += text.write() or ["        pass"]
    return Emitted("\n".join(lines) + "\n", names, constants)


def emit_loop(kernel: TypedKernel) -> Emitted:
    """``kernel(data, sizes, shapes, params, space, begin, end, thread, threads, fault)``."""
    constants: dict[str, Any] = {}
    lines, names = _functions(kernel, constants)
    arguments = "data, sizes, shapes, params, space, begin, end, thread, threads, fault"
    lines.append(f"def kernel({arguments}):")
    lines += ["    " + line for line in prologue(kernel, constants)]
    lines += ["    " + line for line in _loop(kernel.indices)]
    proven = None if kernel.is_map or not kernel.checked else frozenset[int]()
    lines += body_text(kernel, constants, proven, 2, write=_DeviceText)
    if kernel.init is not None:
        lines.append(f"    store{kernel.output}(p{kernel.output}, 0, acc)")
    return Emitted("\n".join(lines) + "\n", names, constants)


def written_slots(kernel: TypedKernel) -> frozenset[int]:
    """Arrays that the body stores to."""
    nodes = (node for statement in kernel.body.body for node in walk(statement))
    return frozenset(node.slot for node in nodes if isinstance(node, Store))


def written_first(kernel: TypedKernel) -> frozenset[int]:
    """Arrays of a map whose old element is never needed: stored to on every way, before a read."""
    found: set[int] = set()
    read: set[int] = set()
    for statement in kernel.body.body:
        read |= {node.slot for node in walk(statement) if isinstance(node, Load)} - found
        if isinstance(statement, Store) and statement.slot not in read:
            found.add(statement.slot)
        if any(isinstance(node, Return) for node in walk(statement)):
            break
    return frozenset(found)


class _DeviceText(BodyText):
    """A body for a target whose NumPy knows no complex numbers."""

    def _library(self, node: Op) -> str:
        return "complex_np" if any(arg.type.kind == "c" for arg in node.args) else "np"


class _ElementText(_DeviceText):
    """A body whose pointers stand on the index's own elements."""

    def _offset(self, _slot: int, _subscripts: tuple[Expr, ...]) -> str:
        return "0"


def _functions(kernel: TypedKernel, constants: dict[str, Any]) -> tuple[list[str], tuple[str, ...]]:
    functions = called_functions(kernel.body)
    guarded = kernel.checked and not kernel.is_map
    lines: list[str] = []
    for function in functions:
        lines += function_text(function, kernel, constants, guarded=guarded, write=_DeviceText)
    return lines, tuple(function.name for function in functions)


def _loop(indices: int) -> list[str]:
    """The thread's own indices in turn; in two and three dimensions without a division a step."""
    if indices == 1:
        return ["for i0 in range(add(first0, thread), last0, threads):"]
    lines = ["total = subtract(last0, first0)"]
    lines += [f"total = multiply(total, last{axis})" for axis in range(1, indices)]
    for name, value in (("a", "thread"), ("d", "threads")):
        lines.append(f"left = {value}")
        for axis in range(indices - 1, 0, -1):
            lines.append(f"{name}{axis} = remainder(left, last{axis})")
            lines.append(f"left = floor_divide(left, last{axis})")
        lines.append(f"{name}0 = left")
    lines.append("for turn in range(thread, total, threads):")
    body = ["i0 = add(first0, a0)"]
    body += [f"i{axis} = a{axis}" for axis in range(1, indices)]
    for axis in range(indices - 1, 0, -1):
        body.append(f"a{axis} = add(a{axis}, d{axis})")
        body.append(f"if a{axis} >= last{axis}:")
        body.append(f"    a{axis} = subtract(a{axis}, last{axis})")
        body.append(f"    a{axis - 1} = add(a{axis - 1}, to_int64(1))")
    body.append("a0 = add(a0, d0)")
    return lines + ["    " + line for line in body]
