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
    | {"python_max", "python_min", "reciprocal", "remainder", "right_shift", "rint", "sqrt"}
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
            self.line(f"{self.local(name)} = to_{kind.dtype}(0)")
        if self.returns_from_a_loop():
            self.line("left = to_bool(0)")
        self.block(self.body.body)
        return self.lines

    def returns_from_a_loop(self) -> bool:
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

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def local(self, name: str) -> str:
        """Names of the text are ours, so that none of the user's can meet them."""
        return self.names.setdefault(name, f"v{len(self.names)}")

    # Statements

    def block(self, statements: tuple[Stmt, ...]) -> None:
        for statement in statements:
            self.statement(statement)

    def nested(self, statements: tuple[Stmt, ...]) -> None:
        self.depth += 1
        before = len(self.lines)
        self.block(statements)
        if len(self.lines) == before:
            self.line("pass")
        self.depth -= 1

    def statement(self, statement: Stmt) -> None:
        if isinstance(statement, Assign):
            self.line(f"{self.local(statement.name)} = {self.value(statement.value)}")
        elif isinstance(statement, Store):
            self.store(statement)
        elif isinstance(statement, If):
            self.line(f"if {self.value(statement.test)}:")
            self.nested(statement.body)
            if statement.orelse:
                self.line("else:")
                self.nested(statement.orelse)
        elif isinstance(statement, While):
            self.line(f"while {self.value(statement.test)}:")
            self.inner_loop(statement.body)
        elif isinstance(statement, For):
            self.loop(statement)
        elif isinstance(statement, Break):
            self.line("break")
        elif isinstance(statement, Continue):
            self.line("continue")
        elif isinstance(statement, Return):
            self.leave(statement)

    def store(self, store: Store) -> None:
        slot, value = store.slot, self.value(store.value)
        if self.is_proven(store):
            offset = self.offset(slot, store.subscripts)
            self.line(f"store{slot}(p{slot}, {offset}, {value})")
        else:
            offset = self.checked_offset(slot, store.subscripts)
            self.line(f"guarded_store{slot}(p{slot}, {offset}, {value})")

    def loop(self, loop: For) -> None:
        start, stop = self.value(loop.start), self.value(loop.stop)
        if isinstance(loop.step, Const):
            step = repr(int(loop.step.value))
        else:
            # Python raises for a step of 0; here the loop then runs not at all.
            k = len(self.lines)
            self.line(f"step{k} = {self.value(loop.step)}")
            self.line(f"start{k} = {start}")
            stop = f"({stop} if step{k} != 0 else start{k})"
            start, step = f"start{k}", f"(step{k} if step{k} != 0 else 1)"
        name, dtype = self.local(loop.name), self.body.locals[loop.name].dtype
        if dtype == "int64":
            self.line(f"for {name} in range({start}, {stop}, {step}):")
            self.inner_loop(loop.body)
            return
        counter = f"c{len(self.lines)}"
        self.line(f"for {counter} in range({start}, {stop}, {step}):")
        self.depth += 1
        self.line(f"{name} = to_{dtype}({counter})")
        self.depth -= 1
        self.inner_loop(loop.body)

    def inner_loop(self, body: tuple[Stmt, ...]) -> None:
        self.loops += 1
        self.nested(body)
        self.loops -= 1
        returns = any(isinstance(n, Return) for statement in body for n in walk(statement))
        if returns and self.next_index is not None:
            self.line("if left:")
            self.line("    break" if self.loops else f"    {self.next_index}")

    def leave(self, statement: Return) -> None:
        if self.next_index is None:
            assert statement.value is not None
            self.line(f"return {self.value(statement.value)}")
            return
        if statement.value is not None:
            self.line(f"acc = {self.value(statement.value)}")
        if self.loops:
            self.line("left = to_bool(1)")
            self.line("break")
        else:
            self.line(self.next_index)

    # Expressions

    def value(self, node: Expr) -> str:
        if isinstance(node, Const):
            return self.constant(node)
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
            return self.load(node)
        if isinstance(node, Cast):
            return f"to_{node.type.dtype}({self.value(node.value)})"
        if isinstance(node, Select):
            then, other = self.value(node.then), self.value(node.other)
            return f"({then} if {self.value(node.test)} else {other})"
        if isinstance(node, Invoke):
            return self.invoke(node)
        assert isinstance(node, Op)
        return self.operation(node)

    def constant(self, node: Const) -> str:
        value = node.value.item() if isinstance(node.value, np.generic) else node.value
        plain = isinstance(value, (bool, int)) and abs(value) < _SMALL
        if isinstance(value, float) and math.isfinite(value):
            plain = math.copysign(1.0, value) > 0
        if plain:
            return f"to_{node.type.dtype}({value!r})"
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return f"to_{node.type.dtype}({name})"

    def is_proven(self, access: Load | Store) -> bool:
        return self.proven is None or id(access) in self.proven

    def load(self, load: Load) -> str:
        slot = load.slot
        if self.is_proven(load):
            return f"load{slot}(p{slot}, {self.offset(slot, load.subscripts)})"
        return f"guarded_load{slot}(p{slot}, {self.checked_offset(slot, load.subscripts)})"

    def offset(self, slot: int, subscripts: tuple[Expr, ...]) -> str:
        text = self.value(subscripts[0])
        for axis, each in enumerate(subscripts[1:], 1):
            text = f"add(multiply({text}, s{slot}_{axis}), {self.value(each)})"
        return text

    def checked_offset(self, slot: int, subscripts: tuple[Expr, ...]) -> str:
        if len(subscripts) == 1:
            return f"step(fault, {slot}, -1, 0, {self.value(subscripts[0])}, n{slot})"
        text = "0"
        for axis, each in enumerate(subscripts):
            text = f"step(fault, {slot}, {axis}, {text}, {self.value(each)}, s{slot}_{axis})"
        return text

    def invoke(self, node: Invoke) -> str:
        args = [self.value(arg) for arg in node.args]
        args += array_names(node.function.slots, self.arrays)
        return f"{node.function.name}({', '.join([*args, 'fault'])})"

    def operation(self, node: Op) -> str:
        args = [self.value(arg) for arg in node.args]
        if node.name in ("and_then", "or_else"):
            word = "and" if node.name == "and_then" else "or"
            return f"({args[0]} {word} {args[1]})"
        if node.name.startswith("math_"):
            call = f"math.{node.name[5:]}({', '.join(args)})"
        elif node.name in ("isnan", "isinf", "isfinite"):
            call = f"np.{node.name}({', '.join(args)})"
        elif node.name == "power" and node.type.is_integer:
            call = f"power({args[0]}, {args[1]})"
        elif self.is_machine(node):
            return f"{node.name}({', '.join(args)})"
        else:
            call = f"np.{node.name}({', '.join(args)})"
        return f"to_{node.type.dtype}({call})"

    def is_machine(self, node: Op) -> bool:
        if node.name in ("complex", "real", "imag"):
            return True
        complex_args = any(arg.type.kind == "c" for arg in node.args)
        return node.name in MACHINE_OPERATIONS and not complex_args
