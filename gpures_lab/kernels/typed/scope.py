"""What is known while one function is typed: its names, and the call it is typed for."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpures_lab.errors import CompileError
from gpures_lab.kernels.function import Function
from gpures_lab.kernels.signature import ArraySpec
from gpures_lab.kernels.typed.scalars import Scalar
from gpures_lab.kernels.typed.tree import Expr, TypedFunction

__all__ = ["Scope", "Unit"]


@dataclass(slots=True)
class Unit:
    """One kernel being typed: its arrays by slot, and the functions typed for it so far."""

    arrays: tuple[ArraySpec, ...]
    functions: dict[tuple[object, ...], TypedFunction] = field(default_factory=dict)
    active: list[tuple[object, ...]] = field(default_factory=list)


@dataclass(slots=True)
class Scope:
    """One function being typed.

    Attributes
    ----------
    arrays
        Array parameters and their slots.
    numbers
        Other names with a fixed meaning: indices, params, ``n``.
    locals
        Types found so far; typing repeats until they stop changing.
    bound
        Locals that some statement before this point has assigned.
    result, fixed_result
        Type of what it returns; fixed for a reduction, whose accumulator has the output's dtype.
    """

    unit: Unit
    function: Function
    arrays: Mapping[str, int]
    numbers: Mapping[str, Expr]
    writable: frozenset[str]
    locals: dict[str, Scalar] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)
    slots: set[int] = field(default_factory=set)
    calls: list[TypedFunction] = field(default_factory=list)
    result: Scalar | None = None
    fixed_result: bool = False
    loops: int = 0

    def error(self, message: str, node: ast.AST | None = None) -> CompileError:
        """A ``CompileError`` at ``node``."""
        return self.function.source.error(message, node)
