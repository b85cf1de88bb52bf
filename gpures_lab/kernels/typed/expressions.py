"""Expressions: names, literals, subscripts, attributes and the operators between them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Any

from gpures_lab.kernels.captures import Namespace, Number
from gpures_lab.kernels.typed import operations
from gpures_lab.kernels.typed.calls import call, part
from gpures_lab.kernels.typed.operations import as_index, truth
from gpures_lab.kernels.typed.scalars import INDEX, element, of_number
from gpures_lab.kernels.typed.scope import Scope
from gpures_lab.kernels.typed.tree import Const, Expr, Extent, Load, Local, Op, Select, Size

__all__ = ["expression", "subscripts"]


def expression(scope: Scope, node: ast.expr) -> Expr:
    """Type one expression."""
    return operations.fitting(scope, node, _typed(scope, node))


def _typed(scope: Scope, node: ast.expr) -> Expr:
    rule = _RULES.get(type(node))
    if rule is None:
        what = type(node).__name__
        raise scope.error(f"{what} is not part of the kernel language", node)
    return rule(scope, node)


def _name(scope: Scope, node: ast.Name) -> Expr:
    name = node.id
    if name in scope.function.assigned:
        if name not in scope.bound and scope.loops == 0:
            raise scope.error(f"{name} is read before it is assigned", node)
        # Inside a loop a later statement may have assigned it; its type is known next time round.
        return Local(scope.locals.get(name, INDEX), name)
    if name in scope.numbers:
        return scope.numbers[name]
    if name in scope.arrays:
        raise scope.error(
            f"{name} is an array; kernels use its elements, as in {name}[i], or its shape and size",
            node,
        )
    return _captured(scope, node, name)


def _captured(scope: Scope, node: ast.expr, name: str) -> Expr:
    found = scope.function.captured.get(name)
    if isinstance(found, Number):
        return Const(of_number(found.value), found.value)
    what = "a module" if isinstance(found, Namespace) else "a function"
    raise scope.error(f"{name} is {what}, not a number", node)


def _constant(scope: Scope, node: ast.Constant) -> Expr:
    value = node.value
    if not isinstance(value, (bool, int, float, complex)):
        meant = str(value).strip("+- ").lower() if isinstance(value, str) else ""
        hint = f"; write math.{meant}" if meant in ("nan", "inf") else ""
        raise scope.error(f"{value!r} is not a number{hint}", node)
    return Const(of_number(value), value)


def _subscript(scope: Scope, node: ast.Subscript) -> Expr:
    if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        return _extent(scope, node)
    slot, listed = subscripts(scope, node)
    return Load(element(scope.unit.arrays[slot].dtype), slot, listed, node.lineno)


def subscripts(scope: Scope, node: ast.Subscript) -> tuple[int, tuple[Expr, ...]]:
    """The slot of a subscripted array, and its int64 subscripts."""
    if not isinstance(node.value, ast.Name) or node.value.id not in scope.arrays:
        raise scope.error(f"{ast.unparse(node.value)} is not an array of this kernel", node)
    name = node.value.id
    slot = scope.arrays[name]
    scope.slots.add(slot)
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    ndim = scope.unit.arrays[slot].ndim
    if len(parts) not in (1, ndim):
        allowed = "1 subscript (flat)" if ndim < 2 else f"1 subscript (flat) or {ndim}"
        raise scope.error(
            f"{name} has {ndim} dimensions and takes {allowed}, not {len(parts)}", node
        )
    for each in parts:
        if isinstance(each, (ast.Slice, ast.Starred)):
            raise scope.error("kernels use single elements; slices are not part of them", each)
    listed = tuple(
        as_index(scope, expression(scope, each), each, f"a subscript of {name}") for each in parts
    )
    return slot, listed


def _array_of(scope: Scope, node: ast.expr) -> int | None:
    if isinstance(node, ast.Name) and node.id in scope.arrays:
        scope.slots.add(scope.arrays[node.id])
        return scope.arrays[node.id]
    return None


def _extent(scope: Scope, node: ast.Subscript) -> Expr:
    assert isinstance(node.value, ast.Attribute)
    slot = _array_of(scope, node.value.value)
    if slot is None:
        raise scope.error(f"{ast.unparse(node.value.value)} is not an array of this kernel", node)
    axis = expression(scope, node.slice)
    dimensions = max(scope.unit.arrays[slot].ndim, 1)
    if not isinstance(axis, Const) or type(axis.value) is not int:
        raise scope.error("the axis of .shape is a literal integer", node)
    if not -dimensions <= axis.value < dimensions:
        raise scope.error(
            f"axis {axis.value} is out of range: the array has {dimensions} dimensions", node
        )
    return Extent(INDEX, slot, axis.value % dimensions)


def _attribute(scope: Scope, node: ast.Attribute) -> Expr:
    name = ast.unparse(node)
    if name in scope.function.captured:
        return _captured(scope, node, name)
    slot = _array_of(scope, node.value)
    if slot is not None:
        if node.attr == "size":
            return Size(INDEX, slot)
        if node.attr == "ndim":
            ndim = scope.unit.arrays[slot].ndim
            return Const(of_number(ndim), ndim)
        if node.attr == "shape":
            raise scope.error(f"{name} needs an axis, as in {name}[0]", node)
        raise scope.error(f"arrays in kernels have shape, size and ndim, not {node.attr}", node)
    if node.attr in ("real", "imag"):
        return part(expression(scope, node.value), node.attr)
    raise scope.error(f".{node.attr} is not part of the kernel language", node)


def _binary(scope: Scope, node: ast.BinOp) -> Expr:
    left, right = _typed(scope, node.left), _typed(scope, node.right)
    return operations.binary(scope, node, node.op, left, right)


def _unary(scope: Scope, node: ast.UnaryOp) -> Expr:
    return operations.unary(scope, node, node.op, _typed(scope, node.operand))


def _compare(scope: Scope, node: ast.Compare) -> Expr:
    values = [expression(scope, each) for each in (node.left, *node.comparators)]
    results = [
        operations.compare(scope, node, op, left, right)
        for op, left, right in zip(node.ops, values, values[1:], strict=False)
    ]
    result = results[-1]
    for each in reversed(results[:-1]):
        result = Op(result.type, "and_then", (each, result))
    return result


def _bool(scope: Scope, node: ast.BoolOp) -> Expr:
    """``and`` and ``or`` give one of their operands, as in Python."""
    values = [expression(scope, each) for each in node.values]
    is_and = isinstance(node.op, ast.And)
    result = values[-1]
    for each in reversed(values[:-1]):
        if each.type.dtype == result.type.dtype == "bool":
            result = Op(result.type, "and_then" if is_and else "or_else", (each, result))
        else:
            first, second = (result, each) if is_and else (each, result)
            result = operations.select(truth(each), first, second)
    return result


def _if(scope: Scope, node: ast.IfExp) -> Expr:
    test = truth(expression(scope, node.test))
    chosen = operations.select(test, expression(scope, node.body), expression(scope, node.orelse))
    assert isinstance(chosen, Select)
    return chosen


def _call(scope: Scope, node: ast.Call) -> Expr:
    return call(scope, node, partial(expression, scope))


_RULES: dict[type[ast.AST], Callable[[Scope, Any], Expr]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.Subscript: _subscript,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.BoolOp: _bool,
    ast.IfExp: _if,
    ast.Call: _call,
}
