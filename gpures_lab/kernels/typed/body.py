"""Statements, and the repetition that finds the type of every local."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from gpures_lab.kernels.captures import Named
from gpures_lab.kernels.typed import operations
from gpures_lab.kernels.typed.expressions import expression, subscripts
from gpures_lab.kernels.typed.operations import as_index, cast, truth
from gpures_lab.kernels.typed.scalars import INDEX, WEAK_INT, Scalar, common, element, local_type
from gpures_lab.kernels.typed.scope import Scope
from gpures_lab.kernels.typed.tree import (
    Assign,
    Break,
    Const,
    Continue,
    Expr,
    For,
    If,
    Load,
    Local,
    Return,
    Stmt,
    Store,
    TypedFunction,
    While,
)

__all__ = ["type_function"]

_MAX_ROUNDS = 32


def type_function(
    scope: Scope, parameters: tuple[tuple[str, Scalar], ...], name: str, *, returns: bool = True
) -> TypedFunction:
    """Type a whole body.

    A local's type depends on what is assigned to it, and that on the types of locals: typing
    repeats until nothing changes. Types only grow, so it ends.
    """
    for _ in range(_MAX_ROUNDS):
        before = (dict(scope.locals), scope.result)
        scope.bound.clear()
        scope.slots.clear()
        scope.calls.clear()
        body = [*_parameter_locals(scope), *_block(scope, scope.function.body)]
        if (scope.locals, scope.result) == before:
            break
    else:
        raise scope.error("the types of its locals do not settle; give them one dtype each")
    return TypedFunction(
        name=name,
        parameters=parameters,
        locals=dict(scope.locals),
        body=tuple(body),
        slots=frozenset(scope.slots),
        result=scope.result if returns else None,
        calls=tuple(scope.calls),
    )


def _parameter_locals(scope: Scope) -> list[Stmt]:
    """A parameter that the body assigns is a local that starts with the argument."""
    start: list[Stmt] = []
    for name, value in scope.numbers.items():
        if name in scope.function.assigned:
            start += _assign(scope, name, value)
    return start


def _block(scope: Scope, statements: Sequence[ast.stmt]) -> list[Stmt]:
    return [typed for statement in statements for typed in _statement(scope, statement)]


def _statement(scope: Scope, node: ast.stmt) -> list[Stmt]:
    rule = _RULES.get(type(node))
    if rule is None:
        raise scope.error(f"{type(node).__name__} is not part of the kernel language", node)
    return rule(scope, node)


def _assign(scope: Scope, name: str, value: Expr) -> list[Stmt]:
    kind = local_type(scope.locals.get(name), value.type)
    scope.locals[name] = kind
    scope.bound.add(name)
    return [Assign(name, cast(value, kind.dtype, kind))]


def _store(scope: Scope, node: ast.Subscript, value: Expr) -> list[Stmt]:
    slot, listed = subscripts(scope, node)
    assert isinstance(node.value, ast.Name)
    if node.value.id not in scope.writable:
        raise scope.error(
            f"{node.value.id} is an input of this call and cannot be stored to; pass its handle "
            "among the outputs",
            node,
        )
    dtype = scope.unit.arrays[slot].dtype
    return [Store(slot, listed, cast(value, dtype, element(dtype)))]


def _target(scope: Scope, node: ast.expr, value: Expr) -> list[Stmt]:
    if isinstance(node, ast.Name):
        if node.id in scope.arrays:
            raise scope.error(f"the array {node.id} cannot be assigned", node)
        return _assign(scope, node.id, value)
    if isinstance(node, ast.Subscript):
        return _store(scope, node, value)
    raise scope.error("kernels assign to a name or to an element of an output", node)


def _assignment(scope: Scope, node: ast.Assign) -> list[Stmt]:
    tuples = any(isinstance(target, (ast.Tuple, ast.List)) for target in node.targets)
    if not tuples:
        value = expression(scope, node.value)
        if len(node.targets) > 1:
            return _through_temporary(scope, node, value)
        return _target(scope, node.targets[0], value)
    if len(node.targets) > 1:
        raise scope.error("assign to one tuple of names at a time", node)
    target = node.targets[0]
    assert isinstance(target, (ast.Tuple, ast.List))
    if not isinstance(node.value, (ast.Tuple, ast.List)) or len(target.elts) != len(
        node.value.elts
    ):
        raise scope.error("both sides of a tuple assignment have the same length", node)
    typed: list[Stmt] = []
    held: list[Expr] = []
    for position, each in enumerate(node.value.elts):
        typed += _hold(scope, f"={node.lineno}:{node.col_offset}:{position}", each, held)
    for each, value in zip(target.elts, held, strict=True):
        typed += _target(scope, each, value)
    return typed


def _hold(scope: Scope, name: str, node: ast.expr, held: list[Expr]) -> list[Stmt]:
    """All right sides are evaluated before anything is assigned."""
    value = expression(scope, node)
    if isinstance(value, Const):
        held.append(value)
        return []
    # A temporary keeps the value's own type, so that a swap changes no dtype.
    scope.locals[name] = value.type
    held.append(Local(value.type, name))
    return [Assign(name, value)]


def _through_temporary(scope: Scope, node: ast.Assign, value: Expr) -> list[Stmt]:
    name = f"={node.lineno}:{node.col_offset}"
    scope.locals[name] = value.type
    typed: list[Stmt] = [Assign(name, value)]
    for target in node.targets:
        typed += _target(scope, target, Local(value.type, name))
    return typed


def _annotated(scope: Scope, node: ast.AnnAssign) -> list[Stmt]:
    if node.value is None:
        return []
    return _target(scope, node.target, expression(scope, node.value))


def _augmented(scope: Scope, node: ast.AugAssign) -> list[Stmt]:
    if isinstance(node.target, ast.Name):
        reading = ast.copy_location(ast.Name(id=node.target.id, ctx=ast.Load()), node.target)
        before = expression(scope, reading)
    elif isinstance(node.target, ast.Subscript):
        slot, listed = subscripts(scope, node.target)
        before = Load(element(scope.unit.arrays[slot].dtype), slot, listed, node.lineno)
    else:
        raise scope.error("kernels assign to a name or to an element of an output", node)
    value = operations.binary(scope, node, node.op, before, expression(scope, node.value))
    return _target(scope, node.target, value)


def _if(scope: Scope, node: ast.If) -> list[Stmt]:
    test = truth(expression(scope, node.test))
    body = tuple(_block(scope, node.body))
    return [If(test, body, tuple(_block(scope, node.orelse)))]


def _while(scope: Scope, node: ast.While) -> list[Stmt]:
    if node.orelse:
        raise scope.error("while ... else is not part of the kernel language", node)
    scope.loops += 1
    test = truth(expression(scope, node.test))
    body = tuple(_block(scope, node.body))
    scope.loops -= 1
    return [While(test, body)]


def _for(scope: Scope, node: ast.For) -> list[Stmt]:
    if node.orelse:
        raise scope.error("for ... else is not part of the kernel language", node)
    call = node.iter
    if not isinstance(call, ast.Call) or scope.function.captured.get(
        ast.unparse(call.func)
    ) != Named("builtin", "range"):
        raise scope.error("kernels loop over range(...) only", call)
    if call.keywords or not 1 <= len(call.args) <= 3:
        raise scope.error("range takes 1 to 3 integers", call)
    if not isinstance(node.target, ast.Name):
        raise scope.error("the loop variable is a single name", node.target)
    bounds = [
        as_index(scope, expression(scope, each), each, "an argument of range") for each in call.args
    ]
    zero, one = Const(WEAK_INT, 0), Const(WEAK_INT, 1)
    start, stop = (zero, bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
    step = bounds[2] if len(bounds) == 3 else one
    if isinstance(step, Const) and step.value == 0:
        raise scope.error("the step of range is 0", call)
    name = node.target.id
    if name in scope.arrays:
        raise scope.error(f"the array {name} cannot be a loop variable", node.target)
    scope.locals[name] = local_type(scope.locals.get(name), INDEX)
    scope.bound.add(name)
    scope.loops += 1
    body = tuple(_block(scope, node.body))
    scope.loops -= 1
    return [For(name, start, stop, step, body)]


def _return(scope: Scope, node: ast.Return) -> list[Stmt]:
    gives_value = node.value is not None and not (
        isinstance(node.value, ast.Constant) and node.value.value is None
    )
    if scope.writable:
        if gives_value:
            raise scope.error("an index kernel returns nothing; store to an output instead", node)
        return [Return(None)]
    if not gives_value:
        raise scope.error("this function returns a number on every path", node)
    assert node.value is not None
    value = expression(scope, node.value)
    if not scope.fixed_result:
        scope.result = value.type if scope.result is None else common(scope.result, value.type)
    assert scope.result is not None
    return [Return(cast(value, scope.result.dtype, scope.result))]


def _bare(scope: Scope, node: ast.Expr) -> list[Stmt]:
    if isinstance(node.value, ast.Constant):
        return []
    raise scope.error("this statement computes something and drops it", node)


def _pass(_scope: Scope, _node: ast.Pass) -> list[Stmt]:
    return []


def _break(_scope: Scope, _node: ast.Break) -> list[Stmt]:
    return [Break()]


def _continue(_scope: Scope, _node: ast.Continue) -> list[Stmt]:
    return [Continue()]


_RULES: dict[type[ast.AST], Callable[[Scope, Any], list[Stmt]]] = {
    ast.Assign: _assignment,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.If: _if,
    ast.While: _while,
    ast.For: _for,
    ast.Return: _return,
    ast.Expr: _bare,
    ast.Pass: _pass,
    ast.Break: _break,
    ast.Continue: _continue,
}
