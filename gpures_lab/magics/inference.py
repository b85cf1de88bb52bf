"""What the names in a cell's Python body are: outputs, inputs, numbers. Pure; runs nothing."""

from __future__ import annotations

import ast
import builtins
import numbers
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from gpures_lab._core._native import ResidentArray
from gpures_lab.errors import CompileError, InvalidOption
from gpures_lab.kernels.captures import BUILTINS
from gpures_lab.kernels.source import Source
from gpures_lab.kernels.statements import check_statements, cure_of_undefined
from gpures_lab.magics.names import on_the_host

__all__ = [
    "INDICES",
    "Uses",
    "check_arrays",
    "highest_index",
    "infer_python",
    "is_number",
    "others",
]

INDICES = ("i", "j", "k")
RESERVED = (*INDICES, "n")
FIRST_LINE = 2  # the magic's own line is the cell's first


@dataclass(frozen=True, slots=True)
class Uses:
    """Names of a body, each in the order of its first use.

    ``others`` are free names that are none of these: builtins, modules, functions.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: tuple[str, ...]
    indices: int
    others: tuple[str, ...] = field(default=(), compare=False)


def infer_python(name: str, body: str, visible: Mapping[str, Any], given: Sequence[str]) -> Uses:
    """Read a body against the names it can see.

    Parameters
    ----------
    name
        What errors call the kernel.
    given
        Names with a value of their own on the magic's line: numbers, whatever they are outside.

    Raises
    ------
    CompileError
        The body does not parse, stores nothing, or uses one name as a number and as an array.
    InvalidOption
        A name is not defined, or is on the host.
    """
    source = Source(name, "<cell>", FIRST_LINE, textwrap.dedent(body))
    try:
        tree = ast.parse(source.text)
    except SyntaxError as reason:
        raise source.error(reason.msg, reason.lineno) from reason
    check_statements(source, tree.body)
    reader = _Reader()
    reader.visit(tree)
    free = [each for each in reader.used if each not in reader.assigned]
    for each, text in reader.attributes.items():
        if each in free:
            _check_attribute(source, each, text, visible)
    for each in reader.indexed:
        if each in reader.assigned or each in given or each in RESERVED:
            raise CompileError(
                f"kernel {name}: {each} is a number in this body, and it is indexed; "
                "rename one of the two",
                kernel=name,
            )
    outputs = tuple(each for each in free if each in reader.stored)
    inputs, params = [], []
    for each in free:
        if each in reader.stored or (each in RESERVED and each not in given):
            continue
        value = visible.get(each)
        if each in given or (is_number(value) and each not in reader.indexed):
            params.append(each)
        elif each in reader.indexed or (
            each in reader.measured and isinstance(value, ResidentArray)
        ):
            inputs.append(each)
        elif isinstance(value, ResidentArray):
            raise CompileError(
                f"kernel {name}: {each} is a resident array, used as a number; index it: {each}[i]",
                kernel=name,
            )
        elif isinstance(value, np.ndarray):
            raise InvalidOption(on_the_host(each, value), name=each)
        elif each not in visible and each not in BUILTINS:
            if hasattr(builtins, each):
                raise CompileError(
                    f"kernel {name}: kernels have no {each}; of Python's own functions they have "
                    f"{', '.join(sorted(BUILTINS))}",
                    kernel=name,
                )
            cure = cure_of_undefined(each, tree.body)
            raise InvalidOption(
                f"kernel {name}: {each} is not defined; "
                f"{cure or f'assign it, or give --param {each}=…'}",
                name=each,
            )
    for each in inputs:
        if isinstance(visible.get(each), Mapping):
            item, line = reader.indexed[each]
            raise source.error(
                f"{item} is an item of a {type(visible[each]).__name__}, and a kernel knows "
                f"numbers and resident arrays by name: assign value = {item} before the cell and "
                "use value",
                line,
            )
    check_arrays(name, inputs, outputs, visible)
    return Uses(
        tuple(inputs),
        outputs,
        tuple(params),
        highest_index(free),
        others(free, inputs, outputs, params),
    )


def _check_attribute(
    source: Source, name: str, text: tuple[str, int], visible: Mapping[str, Any]
) -> None:
    """Raise where a name's attribute is used whose owner is nothing a kernel knows."""
    value = visible.get(name)
    known = isinstance(value, ResidentArray | np.ndarray | ModuleType) or is_number(value)
    if name not in visible or known or callable(value):
        return
    path, line = text
    last = path.rpartition(".")[2]
    raise source.error(
        f"{path} is an attribute of a {type(value).__name__}, and a kernel knows numbers and "
        f"resident arrays by name: assign {last} = {path} before the cell and use {last}",
        line,
    )


def others(free: Sequence[str], *known: Sequence[str]) -> tuple[str, ...]:
    """Return the free names that have no other part."""
    taken = set(RESERVED).union(*known)
    return tuple(each for each in free if each not in taken)


def check_arrays(
    name: str, inputs: Sequence[str], outputs: Sequence[str], visible: Mapping[str, Any]
) -> None:
    """Raise unless every indexed name is a resident array, and something is stored."""
    for each in (*outputs, *inputs):
        if each not in visible:
            raise InvalidOption(f"{each} is not defined: %grain_alloc {each} 1024", name=each)
        if not isinstance(visible[each], ResidentArray):
            raise InvalidOption(on_the_host(each, visible[each]), name=each)
    if not outputs:
        raise CompileError(
            f"kernel {name}: the body stores nothing; assign to an element, as in z[i] = …",
            kernel=name,
        )


def highest_index(free: Sequence[str]) -> int:
    """How many indices a body has that reads these names and assigns none of them."""
    return max((INDICES.index(each) + 1 for each in free if each in INDICES), default=1)


def is_number(value: object) -> bool:
    """Whether it is a Python or NumPy number."""
    return isinstance(value, numbers.Number | np.generic)


class _Reader(ast.NodeVisitor):
    """Names by use; dicts, because they keep the order."""

    def __init__(self) -> None:
        self.used: dict[str, None] = {}
        self.assigned: set[str] = set()
        self.indexed: dict[str, tuple[str, int]] = {}  # as it is written, and its line
        self.stored: set[str] = set()
        self.measured: set[str] = set()
        self.attributes: dict[str, tuple[str, int]] = {}  # owner → the whole path, and its line

    def visit_Name(self, node: ast.Name) -> None:
        self.used[node.id] = None
        if not isinstance(node.ctx, ast.Load):
            self.assigned.add(node.id)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, ast.Name):
            self.indexed.setdefault(node.value.id, (ast.unparse(node), node.lineno))
            if isinstance(node.ctx, ast.Store):
                self.stored.add(node.value.id)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner: ast.expr = node
        while isinstance(owner, ast.Attribute):
            owner = owner.value
        if isinstance(owner, ast.Name):  # the outermost of a.b.c comes first
            self.attributes.setdefault(owner.id, (ast.unparse(node), node.lineno))
        if isinstance(node.value, ast.Name):
            self.measured.add(node.value.id)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        # Of a handle that is handed on, the front end finds out what the callee does with it.
        self.measured.update(each.id for each in node.args if isinstance(each, ast.Name))
        self.generic_visit(node)
