"""Every local of a body is assigned on every path to where it is read.

In Python a path that misses the assignment is an error when it is taken; a compiled body would
read whatever the local began as.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpures_lab.kernels.captures import Number
from gpures_lab.kernels.source import Source

__all__ = ["check_assigned"]

_Set = frozenset[str] | None
"""Names that are assigned here; None where control never comes."""


def check_assigned(
    source: Source,
    body: Sequence[ast.stmt],
    locals_: frozenset[str],
    parameters: Sequence[str],
    captured: Mapping[str, object],
) -> None:
    """Refuse a read of a local that some path to it does not assign.

    Raises
    ------
    CompileError
        Names the local, and shows the line that reads it.
    """
    _Paths(source, locals_, captured).block(body, frozenset(parameters))


@dataclass(slots=True)
class _Loop:
    left: list[_Set] = field(default_factory=list)  # by break
    again: list[_Set] = field(default_factory=list)  # by continue


class _Paths:
    """Walks a body in the order in which it runs."""

    def __init__(
        self, source: Source, locals_: frozenset[str], captured: Mapping[str, object]
    ) -> None:
        self._source = source
        self._locals = locals_
        self._captured = captured
        self._seen: set[str] = set()  # assigned anywhere so far
        self._loops: list[_Loop] = []

    def block(self, statements: Sequence[ast.stmt], known: _Set) -> _Set:
        for statement in statements:
            if known is None:
                return None
            rule = _RULES.get(type(statement))
            if rule is None:  # refused, or without a name of its own
                self._read(statement, known)
            else:
                known = rule(self, statement, known)
        return known

    def _read(self, node: ast.AST | None, known: frozenset[str]) -> None:
        pending: list[ast.AST] = [] if node is None else [node]
        while pending:
            each = pending.pop()
            if isinstance(each, _SCOPES):
                continue  # refused where it is typed
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
                self._check(each, known)
            pending.extend(ast.iter_child_nodes(each))

    def _check(self, node: ast.Name, known: frozenset[str]) -> None:
        if node.id not in self._locals or node.id in known:
            return
        if node.id not in self._seen:
            raise self._source.error(f"{node.id} is read before it is assigned", node)
        raise self._source.error(
            f"{node.id} may be unset here: not every path to this line assigns it (a branch may "
            f"be left out, a loop run no time); assign it before, as in {node.id} = 0",
            node,
        )

    def _store(self, target: ast.expr, known: frozenset[str]) -> frozenset[str]:
        if isinstance(target, ast.Name):
            self._seen.add(target.id)
            return known | {target.id}
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                known = self._store(each, known)
            return known
        self._read(target, known)
        return known

    def assign(self, node: ast.Assign, known: frozenset[str]) -> _Set:
        self._read(node.value, known)
        for target in node.targets:
            known = self._store(target, known)
        return known

    def augmented(self, node: ast.AugAssign, known: frozenset[str]) -> _Set:
        if isinstance(node.target, ast.Name):
            self._check(node.target, known)
        self._read(node.value, known)
        return self._store(node.target, known)

    def annotated(self, node: ast.AnnAssign, known: frozenset[str]) -> _Set:
        if node.value is None:
            return known
        self._read(node.value, known)
        return self._store(node.target, known)

    def branch(self, node: ast.If, known: frozenset[str]) -> _Set:
        self._read(node.test, known)
        return _meet([self.block(node.body, known), self.block(node.orelse, known)])

    def while_(self, node: ast.While, known: frozenset[str]) -> _Set:
        self._read(node.test, known)
        loop = self._repeat(node.body, known)[0]
        for_ever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        # What an iteration assigns is not known behind a loop that may run no time.
        return _meet([*loop.left, None if for_ever else known])

    def for_(self, node: ast.For, known: frozenset[str]) -> _Set:
        self._read(node.iter, known)
        loop, end = self._repeat(node.body, self._store(node.target, known))
        after = _meet([end, *loop.again]) if self._runs(node.iter) else known
        return _meet([*loop.left, after])

    def _repeat(self, body: Sequence[ast.stmt], known: frozenset[str]) -> tuple[_Loop, _Set]:
        loop = _Loop()
        self._loops.append(loop)
        end = self.block(body, known)
        self._loops.pop()
        return loop, end

    def _runs(self, node: ast.expr) -> bool:
        """Whether a range is certainly not empty: of numbers, written or captured."""
        if not isinstance(node, ast.Call) or not node.args or node.keywords:
            return False
        numbers = [self._number(each) for each in node.args]
        try:
            return len(range(*numbers)) > 0
        except (TypeError, ValueError, OverflowError):
            return False

    def _number(self, node: ast.expr) -> Any:
        found = self._captured.get(ast.unparse(node))
        if isinstance(found, Number):
            return found.value
        try:
            return ast.literal_eval(node)
        except ValueError:
            return None

    def return_(self, node: ast.Return, known: frozenset[str]) -> _Set:
        self._read(node.value, known)
        return None

    def break_(self, node: ast.Break, known: frozenset[str]) -> _Set:
        self._innermost(node, "break").left.append(known)
        return None

    def continue_(self, node: ast.Continue, known: frozenset[str]) -> _Set:
        self._innermost(node, "continue").again.append(known)
        return None

    def _innermost(self, node: ast.stmt, word: str) -> _Loop:
        if not self._loops:
            raise self._source.error(f"{word} stands outside a loop", node)
        return self._loops[-1]


def _meet(paths: Sequence[_Set]) -> _Set:
    """What all of the paths that can be taken have assigned."""
    taken = [each for each in paths if each is not None]
    return frozenset.intersection(*taken) if taken else None


_SCOPES = (ast.Lambda, ast.FunctionDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_RULES: dict[type[ast.stmt], Callable[[_Paths, Any, frozenset[str]], _Set]] = {
    ast.Assign: _Paths.assign,
    ast.AugAssign: _Paths.augmented,
    ast.AnnAssign: _Paths.annotated,
    ast.If: _Paths.branch,
    ast.While: _Paths.while_,
    ast.For: _Paths.for_,
    ast.Return: _Paths.return_,
    ast.Break: _Paths.break_,
    ast.Continue: _Paths.continue_,
}
