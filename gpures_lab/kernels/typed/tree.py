"""The typed body: what targets compile. Every conversion is explicit; arrays are slots.

A *slot* is a distinct array of the compiled code: parameters that hold equal handles share one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gpures_lab.kernels.typed.scalars import Scalar

__all__ = [
    "Assign",
    "Break",
    "Cast",
    "Const",
    "Continue",
    "Count",
    "Expr",
    "Extent",
    "For",
    "If",
    "Index",
    "Invoke",
    "Load",
    "Local",
    "Op",
    "Param",
    "Return",
    "Select",
    "Size",
    "Stmt",
    "Store",
    "TypedFunction",
    "While",
]


@dataclass(frozen=True, slots=True)
class Expr:
    """A value of one dtype; evaluating it changes nothing."""

    type: Scalar


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A Python or NumPy number."""

    value: Any


@dataclass(frozen=True, slots=True)
class Index(Expr):
    """``i``, ``j`` or ``k``."""

    axis: int


@dataclass(frozen=True, slots=True)
class Count(Expr):
    """How many indices the space has, all axes together."""


@dataclass(frozen=True, slots=True)
class Local(Expr):
    """A local variable or a called function's number parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Param(Expr):
    """A scalar param, by position in the signature."""

    position: int


@dataclass(frozen=True, slots=True)
class Size(Expr):
    """``x.size``."""

    slot: int


@dataclass(frozen=True, slots=True)
class Extent(Expr):
    """``x.shape[axis]``."""

    slot: int
    axis: int


@dataclass(frozen=True, slots=True)
class Load(Expr):
    """An element: one flat subscript, or one for each dimension. All subscripts are int64."""

    slot: int
    subscripts: tuple[Expr, ...]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Cast(Expr):
    """A conversion as ``astype`` does it."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Op(Expr):
    """An operation by name; ``operations.py`` and ``calls.py`` say which there are."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Select(Expr):
    """``then if test else other``; only one of them is evaluated."""

    test: Expr
    then: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Invoke(Expr):
    """A call of a plain function, compiled for these types."""

    function: TypedFunction
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Stmt:
    """A statement."""


@dataclass(frozen=True, slots=True)
class Assign(Stmt):
    """``value`` has the local's dtype."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Store(Stmt):
    """``value`` has the array's dtype."""

    slot: int
    subscripts: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class If(Stmt):
    """``test`` is a bool."""

    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class While(Stmt):
    """``test`` is a bool."""

    test: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class For(Stmt):
    """``for name in range(start, stop, step)``; bounds are int64 and evaluated once."""

    name: str
    start: Expr
    stop: Expr
    step: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Break(Stmt):
    """Leaves the innermost loop of the body."""


@dataclass(frozen=True, slots=True)
class Continue(Stmt):
    """Goes on with the innermost loop of the body."""


@dataclass(frozen=True, slots=True)
class Return(Stmt):
    """Ends the body for this index, or a called function with a value of its result's dtype."""

    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class TypedFunction:
    """A body compiled for one set of types.

    Attributes
    ----------
    parameters
        Number parameters in order, with their types (a called function); empty for a kernel.
    locals
        Every local with its type, parameters included.
    slots
        Arrays that the body or anything it calls touches.
    result
        What it returns; None for a kernel body.
    """

    name: str
    parameters: tuple[tuple[str, Scalar], ...]
    locals: dict[str, Scalar]
    body: tuple[Stmt, ...]
    slots: frozenset[int]
    result: Scalar | None
    calls: tuple[TypedFunction, ...] = field(default=())
