"""Plain functions that a body calls: typed once for each list of argument types."""

from __future__ import annotations

import ast
from collections.abc import Callable

from gpures_lab.kernels.definition_rules import always_returns
from gpures_lab.kernels.function import Function
from gpures_lab.kernels.typed.operations import cast
from gpures_lab.kernels.typed.scalars import Scalar, of_number
from gpures_lab.kernels.typed.scope import Scope
from gpures_lab.kernels.typed.tree import Const, Expr, Invoke, Local, TypedFunction

__all__ = ["invoke"]


def invoke(
    scope: Scope, node: ast.Call, function: Function, typing: Callable[[ast.expr], Expr]
) -> Expr:
    """Type a call of ``function``, and the function itself for these argument types."""
    given = _match(scope, node, function)
    arrays: dict[str, int] = {}
    numbers: dict[str, Expr] = {}
    for name in function.parameters:
        value = given.get(name)
        if name in function.arrays:
            if not isinstance(value, ast.Name) or value.id not in scope.arrays:
                raise scope.error(f"{function.source.name} uses {name} as an array", node)
            arrays[name] = scope.arrays[value.id]
        elif value is None:
            default = function.defaults[name]
            numbers[name] = Const(of_number(default), default)
        else:
            numbers[name] = typing(value)
    typed = _typed(scope, node, function, arrays, {n: e.type for n, e in numbers.items()})
    scope.slots |= typed.slots
    if typed not in scope.calls:
        scope.calls.append(typed)
    assert typed.result is not None
    args = tuple(cast(numbers[name], kind.dtype) for name, kind in typed.parameters)
    return Invoke(typed.result, typed, args)


def _match(scope: Scope, node: ast.Call, function: Function) -> dict[str, ast.expr]:
    name = function.source.name
    if len(node.args) > len(function.parameters):
        raise scope.error(f"{name} takes {len(function.parameters)} arguments", node)
    given = dict(zip(function.parameters, node.args, strict=False))
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in function.parameters:
            raise scope.error(f"{name} has no parameter {keyword.arg or '**'}", node)
        if keyword.arg in given:
            raise scope.error(f"{name} got {keyword.arg} twice", node)
        given[keyword.arg] = keyword.value
    for parameter in function.parameters:
        if parameter not in given and parameter not in function.defaults:
            raise scope.error(f"{name} needs {parameter}", node)
    for value in given.values():
        if isinstance(value, ast.Starred):
            raise scope.error("kernels have no *arguments", value)
    return given


def _typed(
    scope: Scope,
    node: ast.Call,
    function: Function,
    arrays: dict[str, int],
    types: dict[str, Scalar],
) -> TypedFunction:
    from gpures_lab.kernels.typed.body import type_function  # a body types calls, a call bodies

    unit = scope.unit
    key = (function.identity, tuple(arrays.items()), tuple(types.items()))
    if key in unit.functions:
        return unit.functions[key]
    if function.stored:
        raise scope.error(f"{function.source.name} stores to an array; only a kernel's body does", node)
    if not always_returns(function.body):
        raise function.source.error("a function that a kernel calls returns a number on every path")
    inner = Scope(
        unit=unit,
        function=function,
        arrays=arrays,
        numbers={name: Local(kind, f"={name}") for name, kind in types.items()},
        writable=frozenset(),
    )
    typed = type_function(inner, tuple(types.items()), f"f{len(unit.functions)}")
    unit.functions[key] = typed
    return typed
