"""The whole compiled function: arguments, hoisted checks, loops, body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpures_lab.kernels.host.bounds import interior
from gpures_lab.kernels.host.text import BodyText, array_names
from gpures_lab.kernels.typed.kernel import TypedKernel
from gpures_lab.kernels.typed.tree import TypedFunction

__all__ = ["Emitted", "body_text", "called_functions", "emit", "function_text", "prologue"]


@dataclass(frozen=True, slots=True)
class Emitted:
    """Python text for Numba.

    Attributes
    ----------
    text
        Function ``kernel`` with the C signature of ``_core/shared/kernel_abi.hpp``, after the
        plain functions it calls.
    functions
        Names of those, in the order in which they must be compiled.
    constants
        Globals of the text.
    """

    text: str
    functions: tuple[str, ...]
    constants: dict[str, Any]


def emit(kernel: TypedKernel) -> Emitted:
    """Write ``kernel`` out."""
    constants: dict[str, Any] = {}
    functions = called_functions(kernel.body)
    unguarded = kernel.is_map or not kernel.checked
    lines: list[str] = []
    for function in functions:
        lines += function_text(function, kernel, constants, guarded=not unguarded)
    lines += ["def kernel(data, sizes, shapes, params, space, begin, end, fault):"]
    lines += ["    " + line for line in prologue(kernel, constants)]
    if unguarded:
        lines += _nest(kernel, constants, None)
    else:
        lines += _split_nest(kernel, constants)
    if kernel.init is not None:
        lines.append(f"    store{kernel.output}(p{kernel.output}, 0, acc)")
    return Emitted("\n".join(lines) + "\n", tuple(f.name for f in functions), constants)


def called_functions(body: TypedFunction) -> list[TypedFunction]:
    """Everything that ``body`` calls, callees before callers."""
    found: list[TypedFunction] = []
    for callee in body.calls:
        for each in (*called_functions(callee), callee):
            if each not in found:
                found.append(each)
    return found


def function_text(
    function: TypedFunction,
    kernel: TypedKernel,
    constants: dict[str, Any],
    *,
    guarded: bool,
    write: type[BodyText] = BodyText,
) -> list[str]:
    """Lines of one called function."""
    text = write(function, kernel.arrays, constants, frozenset() if guarded else None)
    parameters = [text.local(f"={name}") for name, _ in function.parameters]
    listed = [*parameters, *array_names(function.slots, kernel.arrays), "fault"]
    return [f"def {function.name}({', '.join(listed)}):", *text.write()]


def prologue(kernel: TypedKernel, constants: dict[str, Any]) -> list[str]:
    """Lines that read the call's arguments, once for all indices."""
    lines: list[str] = []
    first = 0
    for slot, spec in enumerate(kernel.arrays):
        lines += [f"p{slot} = address(data, {slot})", f"n{slot} = word(sizes, {slot})"]
        if spec.ndim > 1:
            lines += [f"s{slot}_{axis} = word(shapes, {first + axis})" for axis in range(spec.ndim)]
        first += max(spec.ndim, 1)
    for position, (dtype, word) in enumerate(kernel.params):
        lines.append(f"q{position} = param_{dtype}(params, {word})")
    lines += ["first0 = begin", "last0 = end"]
    for axis in range(1, kernel.indices):
        lines += [f"first{axis} = to_int64(0)", f"last{axis} = word(space, {axis})"]
    count = "word(space, 0)"
    for axis in range(1, kernel.indices):
        count = f"multiply({count}, word(space, {axis}))"
    lines.append(f"count = {count}")
    if kernel.init is not None:
        dtype = kernel.arrays[kernel.output].dtype
        constants["INIT"] = kernel.init
        start = f"load{kernel.output}(p{kernel.output}, 0)"
        lines.append(f"acc = to_{dtype}(INIT) if begin == 0 else {start}")
    return lines


def body_text(
    kernel: TypedKernel,
    constants: dict[str, Any],
    proven: frozenset[int] | None,
    depth: int,
    *,
    write: type[BodyText] = BodyText,
) -> list[str]:
    """Lines of the body inside the loops; ``proven`` as in `BodyText`."""
    text = write(kernel.body, kernel.arrays, constants, proven, next_index="continue", depth=depth)
    text.names["=acc"] = "acc"
    return text.write()


def _nest(
    kernel: TypedKernel, constants: dict[str, Any], proven: frozenset[int] | None, depth: int = 1
) -> list[str]:
    """One plain nest over the whole range."""
    lines = [
        "    " * (depth + axis) + f"for i{axis} in range(first{axis}, last{axis}):"
        for axis in range(kernel.indices)
    ]
    return lines + body_text(kernel, constants, proven, depth + kernel.indices)


def _split_nest(kernel: TypedKernel, constants: dict[str, Any]) -> list[str]:
    """A plain nest where all is interior; else the innermost index runs in three pieces.

    The pieces are checked, interior without checks, checked. They cost some 7 ns a row, which a
    plate of 256 x 256 pays 256 times a step.
    """
    ndims = tuple(spec.ndim for spec in kernel.arrays)
    inside = interior(kernel.body, kernel.indices, ndims)
    if not inside.proven:
        return _nest(kernel, constants, frozenset())
    inner = kernel.indices - 1
    lines = []
    for axis in range(kernel.indices):
        lines += [f"    low{axis} = first{axis}", f"    high{axis} = last{axis}"]
    lines += ["    " + line for line in inside.lines]
    whole = " and ".join(
        f"low{axis} <= first{axis} and high{axis} >= last{axis}" for axis in range(kernel.indices)
    )
    lines.append(f"    if {whole}:")
    lines += _nest(kernel, constants, inside.proven, 2)
    lines.append("    else:")
    pad = "        "
    for axis in range(inner):
        lines.append(f"{pad}for i{axis} in range(first{axis}, last{axis}):")
        pad += "    "
    lines += [f"{pad}left_edge = low{inner}", f"{pad}right_edge = high{inner}"]
    tests = [f"i{axis} < low{axis} or i{axis} >= high{axis}" for axis in range(inner)]
    tests.append("right_edge <= left_edge")
    # Nothing inside: one piece, checked, covers the whole range.
    lines.append(f"{pad}if {' or '.join(tests)}:")
    lines += [f"{pad}    left_edge = first{inner}", f"{pad}    right_edge = first{inner}"]
    lines.append(f"{pad}for piece in range(3):")
    lines.append(f"{pad}    if piece == 1:")
    lines.append(f"{pad}        for i{inner} in range(left_edge, right_edge):")
    depth = kernel.indices + 4
    lines += body_text(kernel, constants, inside.proven, depth)
    lines.append(f"{pad}    else:")
    lines.append(f"{pad}        start = first{inner} if piece == 0 else right_edge")
    lines.append(f"{pad}        stop = left_edge if piece == 0 else last{inner}")
    lines.append(f"{pad}        for i{inner} in range(start, stop):")
    lines += body_text(kernel, constants, frozenset(), depth)
    return lines
