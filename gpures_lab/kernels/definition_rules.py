"""What every kernel body must satisfy before any dtype is known."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from gpures_lab.kernels.captures import Number, Refused, classify
from gpures_lab.kernels.function import Function, read_function

__all__ = ["check_index_kernel", "check_reduction", "leading_indices"]


def leading_indices(body: Function) -> int:
    """How many of the first parameters are ``i``, ``j``, ``k``, in that order."""
    count = 0
    for parameter, index in zip(body.parameters, "ijk", strict=False):
        if parameter != index:
            break
        count += 1
    if count == 0:
        first = body.parameters[0] if body.parameters else "nothing"
        raise body.source.error(
            f"the first parameter is {first}; a kernel begins with its indices: "
            "def f(i, ...), def f(i, j, ...) or def f(i, j, k, ...)"
        )
    return count


def check_index_kernel(body: Function, indices: int) -> None:
    """Indices and arrays keep their meaning; arrays stand before params; something is stored."""
    names = body.parameters[:indices]
    for name in names:
        if name in body.assigned:
            raise body.source.error(f"the index {name} cannot be assigned", _store_of(body, name))
        if name in body.arrays:
            raise body.source.error(f"the index {name} is used as an array")
        if name in body.defaults:
            raise body.source.error(f"the index {name} cannot have a default")
    _check_arrays(body)
    last_array = max(
        (position for position, name in enumerate(body.parameters) if name in body.arrays),
        default=-1,
    )
    for name in body.parameters[indices:last_array]:
        if name in body.scalars or name in body.defaults:
            _refuse_whole_array_call(body, name)
            array = body.parameters[last_array]
            raise body.source.error(
                f"the body uses {name} as a number, and it stands before the array {array}; the "
                "order is indices, inputs, outputs, params"
            )
    for name in body.defaults:
        if name in body.arrays:
            raise body.source.error(f"the array {name} cannot have a default")
    if not body.stored:
        raise body.source.error(
            "the body stores nothing; an index kernel assigns to an element, as in z[i] = ..."
        )


def check_reduction(body: Function, init: Any) -> None:
    """A reduction takes values, not arrays, and returns its accumulator on every path."""
    if len(body.parameters) < 2:
        raise body.source.error(
            "a reduction has an accumulator and at least one value: def f(acc, v): return ..."
        )
    _check_arrays(body)
    for name in body.parameters:
        if name in body.arrays:
            raise body.source.error(
                f"{name} is used as an array; a reduction gets one value of each input"
            )
    if not always_returns(body.body):
        raise body.source.error("a reduction returns its accumulator on every path")
    start = classify(init, "init", read_function)
    if isinstance(start, Refused):
        raise body.source.error(start.reason)
    if not isinstance(start, Number) or np.ndim(init) != 0:
        raise body.source.error(f"init = {init!r} is not a number")


def _check_arrays(body: Function) -> None:
    for name in sorted(body.arrays):
        if name in body.assigned:
            raise body.source.error(
                f"the array {name} cannot be assigned; store to its elements, as in {name}[i]",
                _store_of(body, name),
            )
        if name in body.scalars:
            _refuse_whole_array_call(body, name)
            raise body.source.error(f"{name} is used both as an array and as a number")


_WHOLE = frozenset({"sum", "mean", "min", "max", "dot", "prod", "argmin", "argmax", "any", "all"})


def _refuse_whole_array_call(body: Function, name: str) -> None:
    """Raise if the body asks about all elements of a parameter, as in ``np.sum(x)``."""
    for statement in body.body:
        for node in ast.walk(statement):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func).rpartition(".")[2]
            alone = called == "dot" or len(node.args) == 1
            given = [each.id for each in node.args if isinstance(each, ast.Name)]
            if called in _WHOLE and alone and name in given:
                raise body.source.error(
                    f"{ast.unparse(node)} is about a whole array, and a kernel runs for one index: "
                    "run kernels/Sum, Mean, Min, Max, Dot or a @gl.reduction before it, and read "
                    "its one element",
                    node,
                )


def _store_of(body: Function, name: str) -> ast.AST | None:
    for statement in body.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                return node
    return None


def always_returns(body: tuple[ast.stmt, ...] | list[ast.stmt]) -> bool:
    """Whether control cannot fall off the end of these statements."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.Return):
        return True
    if isinstance(last, ast.If):
        return always_returns(last.body) and always_returns(last.orelse)
    if isinstance(last, ast.While):
        forever = isinstance(last.test, ast.Constant) and bool(last.test.value)
        return forever and not any(isinstance(node, ast.Break) for node in ast.walk(last))
    return False
