"""What a body that stores to elements of no index in particular asks of its index space.

`total[0] += v[i]` is what everybody tries first. Over one index, which is what an output of one
element gives, it adds one element; over many it is a race that one thread hides. Neither can be
seen from the body alone, so the rule is found here, and the call is held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from gpures_lab.kernels.signature import FLAT, SpaceRule
from gpures_lab.kernels.typed.accesses import accesses, walk
from gpures_lab.kernels.typed.tree import (
    Assign,
    Expr,
    For,
    If,
    Index,
    Load,
    Local,
    Op,
    Return,
    Stmt,
    Store,
    TypedFunction,
    While,
)

__all__ = ["space_rule"]


def space_rule(body: TypedFunction, positions: Sequence[int], first_output: int) -> SpaceRule:
    """Read the rule of an index kernel's body.

    Parameters
    ----------
    positions
        Binding position of each slot.
    first_output
        Slot of the array whose shape is the index space, unless the call gives one.
    """
    values = _Values(body)
    sums = (
        positions[store.slot]
        for store, guarded in _stores(body.body, values)
        if not guarded
        and all(values.are_fixed(each) for each in store.subscripts)
        and values.load_from(store.slot, store.value)
    )
    adds_up = next(sums, -1)
    leading = [a for a in accesses(body) if isinstance(a, Store) and a.slot == first_output]
    if not leading or any(values.follow(each) for a in leading for each in a.subscripts):
        return SpaceRule(adds_up)
    followed: list[int] = []
    for access in accesses(body):
        if not isinstance(access, Load):
            continue
        for axis, subscript in enumerate(access.subscripts):
            if isinstance(subscript, Index):
                shown = FLAT if len(access.subscripts) == 1 else axis
                followed += (positions[access.slot], shown, subscript.axis)
    return SpaceRule(adds_up, tuple(followed))


class _Values:
    """What the locals of a body may hold, as far as its assignments say."""

    def __init__(self, body: TypedFunction) -> None:
        self._assigned: dict[str, list[Expr]] = {}
        self._loops: set[str] = set()
        for node in (node for statement in body.body for node in walk(statement)):
            if isinstance(node, Assign):
                self._assigned.setdefault(node.name, []).append(node.value)
            elif isinstance(node, For):
                self._loops.add(node.name)
                self._assigned.setdefault(node.name, []).extend((node.start, node.stop, node.step))

    def follow(self, value: Expr) -> bool:
        """Whether another index gives another value, as in ``2 * i``, not in ``i % 4``."""
        return self._mentions(value, set(), through_division=False)

    def mention(self, value: Expr) -> bool:
        """Whether the value is made of an index, in whatever way."""
        return self._mentions(value, set(), through_division=True)

    def are_fixed(self, value: Expr, seen: frozenset[str] = frozenset()) -> bool:
        """Whether the value is the same for every index, where that can be seen."""
        for node in walk(value):
            if isinstance(node, Local):
                told = self._assigned.get(node.name, [])
                # Of two assignments an index may have chosen.
                if len(told) > (3 if node.name in self._loops else 1):
                    return False
                further = seen | {node.name}
                if node.name in seen or not all(self.are_fixed(each, further) for each in told):
                    return False
            elif isinstance(node, Index | Load):
                return False
        return True

    def load_from(self, slot: int, value: Expr, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a value is made of an element of this array, through locals too."""
        for node in walk(value):
            if isinstance(node, Load) and node.slot == slot:
                return True
            if isinstance(node, Local) and node.name not in seen:
                further = seen | {node.name}
                if any(
                    self.load_from(slot, each, further)
                    for each in self._assigned.get(node.name, [])
                ):
                    return True
        return False

    def _mentions(self, value: Expr, seen: set[str], *, through_division: bool) -> bool:
        if isinstance(value, Index):
            return True
        if isinstance(value, Load):
            return False
        divides = isinstance(value, Op) and value.name in ("floor_divide", "remainder")
        if divides and not through_division:
            return False
        if isinstance(value, Local):
            if value.name in seen:
                return False
            seen.add(value.name)
            inner = self._assigned.get(value.name, [])
        else:
            inner = _parts(value)
        return any(self._mentions(each, seen, through_division=through_division) for each in inner)


def _parts(value: Expr) -> list[Expr]:
    """Direct children: what stands inside a load must not be looked at by itself."""
    found: list[Expr] = []
    for each in fields(value):
        child = getattr(value, each.name)
        children = child if isinstance(child, tuple) else (child,)
        found += [part for part in children if isinstance(part, Expr)]
    return found


def _stores(
    statements: Sequence[Stmt], values: _Values, guarded: bool = False
) -> Iterator[tuple[Store, bool]]:
    """Every store, and whether a condition on the index stands before it, as in ``if i == 0``."""
    for statement in statements:
        if isinstance(statement, Store):
            yield statement, guarded
        elif isinstance(statement, If):
            chosen = values.mention(statement.test)
            yield from _stores(statement.body, values, guarded or chosen)
            yield from _stores(statement.orelse, values, guarded or chosen)
            # Whoever goes on after `if i > 0: return` was chosen as well.
            guarded = guarded or (chosen and any(isinstance(n, Return) for n in walk(statement)))
        elif isinstance(statement, While):
            yield from _stores(statement.body, values, guarded or values.mention(statement.test))
        elif isinstance(statement, For):
            yield from _stores(statement.body, values, guarded)
