"""Which elements a body touches: maps, and reads of another index's element in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from gpures_lab.kernels.signature import ArraySpec
from gpures_lab.kernels.source import Source
from gpures_lab.kernels.typed.tree import (
    Const,
    Count,
    Expr,
    Extent,
    For,
    Index,
    Load,
    Local,
    Op,
    Param,
    Size,
    Stmt,
    Store,
    TypedFunction,
    While,
)

__all__ = ["accesses", "check_in_place", "is_map", "is_straight", "walk"]


def walk(node: Expr | Stmt) -> Iterator[Expr | Stmt]:
    """A statement or expression and everything inside it; called functions are not entered."""
    yield node
    for each in fields(node):
        value = getattr(node, each.name)
        children = value if isinstance(value, tuple) else (value,)
        for child in children:
            if isinstance(child, (Expr, Stmt)):
                yield from walk(child)


def accesses(body: TypedFunction) -> list[Load | Store]:
    """Every load and store of the body itself."""
    nodes = (node for statement in body.body for node in walk(statement))
    return [node for node in nodes if isinstance(node, (Load, Store))]


def is_map(body: TypedFunction, arrays: tuple[ArraySpec, ...], indices: int) -> bool:
    """Whether every array is subscripted, and by exactly the indices in order."""
    found = accesses(body)
    if {access.slot for access in found} != set(range(len(arrays))):
        return False
    if any(call.slots for call in body.calls):
        return False
    for access in found:
        if len(access.subscripts) != indices:
            return False
        if indices > 1 and arrays[access.slot].ndim != indices:
            return False
        for axis, subscript in enumerate(access.subscripts):
            if not isinstance(subscript, Index) or subscript.axis != axis:
                return False
    return True


def is_straight(body: TypedFunction) -> bool:
    """Whether no loop is in the body or in a function it calls, so that an index costs little."""
    nodes = (node for statement in body.body for node in walk(statement))
    return not any(isinstance(node, (For, While)) for node in nodes) and all(
        is_straight(callee) for callee in body.calls
    )


def check_in_place(body: TypedFunction, source: Source) -> None:
    """Refuse to read, of an array that is stored to, an element that belongs to another index.

    Indices run in any order, so such a read sees either value. It is refused where both
    subscripts can be compared: indices, sizes, params and loop variables, no loaded values.
    """
    found = accesses(body)
    loops = _loop_names(body)
    for slot in {access.slot for access in found if isinstance(access, Store)}:
        stores = [a.subscripts for a in found if isinstance(a, Store) and a.slot == slot]
        if not all(_is_plain(s, frozenset()) and _has_index(s) for s in stores):
            continue
        for access in found:
            if not isinstance(access, Load) or access.slot != slot:
                continue
            same_form = [s for s in stores if len(s) == len(access.subscripts)]
            if not same_form or access.subscripts in same_form:
                continue
            if _is_plain(access.subscripts, loops):
                raise source.error(
                    "this reads, of an array that the kernel stores to, an element that belongs "
                    "to another index; indices run in any order, so use a second array",
                    access.line,
                )


def _loop_names(body: TypedFunction) -> frozenset[str]:
    nodes = (node for statement in body.body for node in walk(statement))
    return frozenset(node.name for node in nodes if isinstance(node, For))


def _is_plain(subscripts: tuple[Expr, ...], loops: frozenset[str]) -> bool:
    for subscript in subscripts:
        for node in walk(subscript):
            if isinstance(node, Local):
                if node.name not in loops:
                    return False
            elif isinstance(node, Op):
                if node.name not in ("add", "subtract", "multiply", "negative"):
                    return False
            elif not isinstance(node, (Const, Count, Extent, Index, Param, Size)):
                return False
    return True


def _has_index(subscripts: tuple[Expr, ...]) -> bool:
    return any(isinstance(node, Index) for each in subscripts for node in walk(each))
