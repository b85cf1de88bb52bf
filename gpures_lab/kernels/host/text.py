"""A typed body as the text of a Python function whose every operation names its dtypes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpures_lab.kernels.signature import ArraySpec
from gpures_lab.kernels.typed.accesses import walk
from gpures_lab.kernels.typed.tree import (
    Assign,
    Break,
    Cast,
    Const,
    Continue,
    Count,
    Expr,
    Extent,
    For,
    If,
    Index,
    Invoke,
    Load,
    Local,
    Op,
    Param,
    Return,
    Select,
    Size,
    Stmt,
    Store,
    TypedFunction,
    While,
)

__all__ = ["MACHINE_OPERATIONS", "BodyText", "array_names"]

# Operations that host/machine.py defines over real numbers; complex ones go to NumPy's ufuncs as
# Numba compiles them. Kept as names here, so that this module imports without Numba.
MACHINE_OPERATIONS = frozenset(
    {"absolute", "add", "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "copysign", "equal"}
    | {"fabs", "floor", "floor_divide", "fma", "fmax", "fmin", "fmod", "greater", "greater_equal"}
    | {"invert", "left_shift", "less", "less_equal", "logical_and", "logical_not", "logical_or"}
    | {"logical_xor", "maximum", "minimum", "multiply", "negative", "not_equal", "positive"}
    | {"python_max", "python_min", "reciprocal", "remainder", "right_shift", "rint", "sign", "sqrt"}
    | {"square", "subtract", "true_divide", "trunc", "complex", "real", "imag"}
)
_SMALL = 2**31


def array_names(slots: frozenset[int], arrays: tuple[ArraySpec, ...]) -> list[str]:
    """Variables that hold an array's address, size and extents, in a fixed order."""
    names: list[str] = []
    for slot in sorted(slots):
        names += [f"p{slot}", f"n{slot}"]
        if arrays[slot].ndim > 1:
            names += [f"s{slot}_{axis}" for axis in range(arrays[slot].ndim)]
    return names


@dataclass(slots=True)
class BodyText:
    """Writes one body; ``proven`` are the accesses that need no check, None meaning all of them.

    ``constants`` collects numbers that have no literal: they become globals of the text.
    """

    body: TypedFunction
    arrays: tuple[ArraySpec, ...]
    constants: dict[str, Any]
    proven: frozenset[int] | None
    next_index: str | None = None
    lines: list[str] = field(default_factory=list)
    depth: int = 1
    loops: int = 0
    names: dict[str, str] = field(default_factory=dict)

    def write(self) -> list[str]:
        """Lines of the body, indented by ``depth``."""
        for name, kind in self.body.locals.items():
            self._line(f"{self.local(name)} = to_{kind.dtype}(0)")
        if self._returns_from_a_loop():
            self._line("left = to_bool(0)")
        self._block(self.body.body)
        return self.lines

    def _returns_from_a_loop(self) -> bool:
        """Whether a return inside a loop of the body must also end that loop."""
        if self.body.result is not None and self.next_index is None:
            return False
        nodes = (node for statement in self.body.body for node in walk(statement))
        return any(
            isinstance(inner, Return)
            for node in nodes
            if isinstance(node, (For, While))
            for inner in walk(node)
        )

    def _line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def local(self, name: str) -> str:
        """Names of the text are ours, so that none of the user's can meet them."""
        return self.names.setdefault(name, f"v{len(self.names)}")

    # Statements

    def _block(self, statements: tuple[Stmt, ...]) -> None:
        for statement in statements:
            self._statement(statement)

    def _nested(self, statements: tuple[Stmt, ...]) -> None:
        self.depth += 1
        before = len(self.lines)
        self._block(statements)
        if len(self.lines) == before:
            self._line("pass")
        self.depth -= 1

    def _statement(self, statement: Stmt) -> None:
        if isinstance(statement, Assign):
            self._line(f"{self.local(statement.name)} = {self._value(statement.value)}")
        elif isinstance(statement, Store):
            self._store(statement)
        elif isinstance(statement, If):
            self._line(f"if {self._value(statement.test)}:")
            self._nested(statement.body)
            if statement.orelse:
                self._line("else:")
                self._nested(statement.orelse)
        elif isinstance(statement, While):
            self._line(f"while {self._value(statement.test)}:")
            self._inner_loop(statement.body)
        elif isinstance(statement, For):
            self._loop(statement)
        elif isinstance(statement, Break):
            self._line("break")
        elif isinstance(statement, Continue):
            self._line("continue")
        elif isinstance(statement, Return):
            self._leave(statement)

    def _store(self, store: Store) -> None:
        slot, value = store.slot, self._value(store.value)
        if self._is_proven(store):
            offset = self._offset(slot, store.subscripts)
            self._line(f"store{slot}(p{slot}, {offset}, {value})")
        else:
            offset = self._checked_offset(slot, store.subscripts)
            self._line(f"guarded_store{slot}(p{slot}, {offset}, {value})")

    def _loop(self, loop: For) -> None:
        start, stop = self._value(loop.start), self._value(loop.stop)
        if isinstance(loop.step, Const):
            step = repr(int(loop.step.value))
        else:
            # Python raises for a step of 0; here the loop then runs not at all.
            k = len(self.lines)
            self._line(f"step{k} = {self._value(loop.step)}")
            self._line(f"start{k} = {start}")
            stop = f"({stop} if step{k} != 0 else start{k})"
            start, step = f"start{k}", f"(step{k} if step{k} != 0 else 1)"
        name, dtype = self.local(loop.name), self.body.locals[loop.name].dtype
        if dtype == "int64":
            walked = self._walked(loop)
            if walked:
                self._two_loops(loop, name, start, stop, walked)
                return
            self._line(f"for {name} in range({start}, {stop}, {step}):")
            self._inner_loop(loop.body)
            return
        counter = f"c{len(self.lines)}"
        self._line(f"for {counter} in range({start}, {stop}, {step}):")
        self.depth += 1
        self._line(f"{name} = to_{dtype}({counter})")
        self.depth -= 1
        self._inner_loop(loop.body)

    def _walked(self, loop: For) -> list[Load | Store]:
        """Accesses to check at an innermost loop's bounds: those subscripted by its counter alone.

        They are the sequential half of a gather over rows, ``weight[k] * rank[source[k]]``, whose
        bounds come from memory, so that nothing is known of them before the loop.
        """
        nodes = [node for statement in loop.body for node in walk(statement)]
        if self.proven is None or not isinstance(loop.step, Const) or loop.step.value != 1:
            return []
        if any(isinstance(node, (For, While)) for node in nodes):
            return []
        if any(isinstance(node, Assign) and node.name == loop.name for node in nodes):
            return []
        return [
            node
            for node in nodes
            if isinstance(node, (Load, Store))
            and id(node) not in self.proven
            and len(node.subscripts) == 1
            and isinstance(node.subscripts[0], Local)
            and node.subscripts[0].name == loop.name
        ]

    def _two_loops(
        self, loop: For, name: str, start: str, stop: str, walked: list[Load | Store]
    ) -> None:
        """Without checks of ``walked`` where the loop's bounds are inside, else with them."""
        assert self.proven is not None
        k = len(self.lines)
        self._line(f"start{k} = {start}")
        self._line(f"stop{k} = {stop}")
        slots = sorted({access.slot for access in walked})
        inside = " and ".join([f"start{k} >= 0", *(f"stop{k} <= n{slot}" for slot in slots)])
        before = self.proven
        for test, proven in (
            (f"if {inside}:", before | {id(access) for access in walked}),
            ("else:", before),
        ):
            self._line(test)
            self.proven = proven
            self.depth += 1
            self._line(f"for {name} in range(start{k}, stop{k}):")
            self._inner_loop(loop.body)
            self.depth -= 1
        self.proven = before

    def _inner_loop(self, body: tuple[Stmt, ...]) -> None:
        self.loops += 1
        self._nested(body)
        self.loops -= 1
        returns = any(isinstance(n, Return) for statement in body for n in walk(statement))
        if returns and self.next_index is not None:
            self._line("if left:")
            self._line("    break" if self.loops else f"    {self.next_index}")

    def _leave(self, statement: Return) -> None:
        if self.next_index is None:
            assert statement.value is not None
            self._line(f"return {self._value(statement.value)}")
            return
        if statement.value is not None:
            self._line(f"acc = {self._value(statement.value)}")
        if self.loops:
            self._line("left = to_bool(1)")
            self._line("break")
        else:
            self._line(self.next_index)

    # Expressions

    def _value(self, node: Expr) -> str:
        if isinstance(node, Const):
            return self._constant(node)
        if isinstance(node, Index):
            return f"i{node.axis}"
        if isinstance(node, Count):
            return "count"
        if isinstance(node, Local):
            return self.local(node.name)
        if isinstance(node, Param):
            return f"q{node.position}"
        if isinstance(node, Size):
            return f"n{node.slot}"
        if isinstance(node, Extent):
            whole = self.arrays[node.slot].ndim < 2
            return f"n{node.slot}" if whole else f"s{node.slot}_{node.axis}"
        if isinstance(node, Load):
            return self._load(node)
        if isinstance(node, Cast):
            return f"to_{node.type.dtype}({self._value(node.value)})"
        if isinstance(node, Select):
            then, other = self._value(node.then), self._value(node.other)
            return f"({then} if {self._value(node.test)} else {other})"
        if isinstance(node, Invoke):
            return self._invoke(node)
        assert isinstance(node, Op)
        return self._operation(node)

    def _constant(self, node: Const) -> str:
        value = node.value.item() if isinstance(node.value, np.generic) else node.value
        plain = isinstance(value, (bool, int)) and abs(value) < _SMALL
        if isinstance(value, float) and math.isfinite(value):
            plain = math.copysign(1.0, value) > 0
        if plain:
            return f"to_{node.type.dtype}({value!r})"
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return f"to_{node.type.dtype}({name})"

    def _is_proven(self, access: Load | Store) -> bool:
        return self.proven is None or id(access) in self.proven

    def _load(self, load: Load) -> str:
        slot = load.slot
        if self._is_proven(load):
            return f"load{slot}(p{slot}, {self._offset(slot, load.subscripts)})"
        return f"guarded_load{slot}(p{slot}, {self._checked_offset(slot, load.subscripts)})"

    def _offset(self, slot: int, subscripts: tuple[Expr, ...]) -> str:
        text = self._value(subscripts[0])
        for axis, each in enumerate(subscripts[1:], 1):
            text = f"add(multiply({text}, s{slot}_{axis}), {self._value(each)})"
        return text

    def _checked_offset(self, slot: int, subscripts: tuple[Expr, ...]) -> str:
        if len(subscripts) == 1:
            return f"step(fault, {slot}, -1, 0, {self._value(subscripts[0])}, n{slot})"
        text = "0"
        for axis, each in enumerate(subscripts):
            text = f"step(fault, {slot}, {axis}, {text}, {self._value(each)}, s{slot}_{axis})"
        return text

    def _invoke(self, node: Invoke) -> str:
        args = [self._value(arg) for arg in node.args]
        args += array_names(node.function.slots, self.arrays)
        return f"{node.function.name}({', '.join([*args, 'fault'])})"

    def _operation(self, node: Op) -> str:
        args = [self._value(arg) for arg in node.args]
        if node.name in ("and_then", "or_else"):
            word = "and" if node.name == "and_then" else "or"
            return f"({args[0]} {word} {args[1]})"
        library = self._library(node)
        if node.name.startswith("math_"):
            call = f"math.{node.name[5:]}({', '.join(args)})"
        elif node.name in ("isnan", "isinf", "isfinite"):
            call = f"{library}.{node.name}({', '.join(args)})"
        elif node.name == "power" and node.type.is_integer:
            call = f"power({args[0]}, {args[1]})"
        elif self._is_machine(node):
            return f"{node.name}({', '.join(args)})"
        else:
            call = f"{library}.{node.name}({', '.join(args)})"
        return f"to_{node.type.dtype}({call})"

    def _library(self, _node: Op) -> str:
        """The module of functions that are no machine operations."""
        return "np"

    def _is_machine(self, node: Op) -> bool:
        if node.name in ("complex", "real", "imag"):
            return True
        complex_args = any(arg.type.kind == "c" for arg in node.args)
        return node.name in MACHINE_OPERATIONS and not complex_args
