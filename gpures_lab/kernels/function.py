"""A Python function as the front end sees it: parameters, body, captures; no types yet."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpures_lab.errors import CompileError
from gpures_lab.kernels import captures
from gpures_lab.kernels.captures import Named, Namespace, Number, Refused
from gpures_lab.kernels.identity import digest
from gpures_lab.kernels.source import Source, read_source
from gpures_lab.kernels.statements import check_statements, cure_of_undefined
from gpures_lab.kernels.unset import check_assigned

__all__ = ["Function", "assigned_names", "function_from_tree", "read_function"]

_NUMBER_ATTRIBUTES = frozenset({"real", "imag"})
_MAX_CALL_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Function:
    """A kernel body, or a plain function that one calls.

    Attributes
    ----------
    parameters
        In declared order.
    defaults
        Values of parameters that may be left out: Python or NumPy scalars.
    captured
        By name as written, dotted where it is a module's member.
    arrays, scalars
        Parameters used as arrays (subscripted, or asked for shape, size or ndim), and used as
        numbers.
    stored
        Array parameters that the body stores to.
    count
        The name that means the number of indices, in the body of a cell.
    identity
        Digest of source and captures, the same in every process.
    """

    source: Source
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]
    body: tuple[ast.stmt, ...]
    captured: Mapping[str, Number | Named | Namespace | Function] = field(compare=False)
    assigned: frozenset[str]
    arrays: frozenset[str]
    scalars: frozenset[str]
    stored: frozenset[str]
    count: str | None
    identity: str

    def capture_texts(self) -> dict[str, str]:
        """Name and value of each capture, modules left out."""
        return {
            name: captures.describe(value)
            for name, value in self.captured.items()
            if not isinstance(value, Namespace)
        }


def read_function(function: types.FunctionType, active: tuple[Any, ...] = ()) -> Function:
    """Parse a Python function and read what it captures, now.

    Raises
    ------
    CompileError
        No source, a signature or a capture that kernels cannot have, or recursion.
    """
    if function in active or len(active) > _MAX_CALL_DEPTH:
        raise CompileError(
            f"function {function.__name__} calls itself; kernels have no recursion, use a loop",
            kernel=function.__name__,
        )
    source, tree = read_source(function)
    cells: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # assigned only after the definition: reported where the name is used
            continue
    return function_from_tree(source, tree, (cells, function.__globals__), (*active, function))


def function_from_tree(
    source: Source,
    tree: ast.FunctionDef | ast.Lambda,
    scopes: tuple[Mapping[str, Any], ...],
    active: tuple[Any, ...] = (),
    count: str | None = None,
) -> Function:
    """The same from a syntax tree and the scopes in which its free names are looked up.

    ``count`` is the name that means the number of indices, where the body has no other meaning
    for it.
    """
    parameters = _parameters(source, tree.args)
    body: tuple[ast.stmt, ...]
    if isinstance(tree, ast.Lambda):
        body = (ast.copy_location(ast.Return(value=tree.body), tree.body),)
    else:
        body = tuple(tree.body)
    check_statements(source, body)
    assigned = assigned_names(body)
    local: set[str | None] = {*assigned, *parameters}
    if count in local:
        count = None
    reader = _CaptureReader(source, scopes, local | {count}, active)
    captured = dict(sorted(reader.read(body).items()))
    check_assigned(source, body, frozenset(assigned), parameters, captured)
    defaults = _defaults(source, tree.args, scopes)
    uses = _ParameterUses(set(parameters), captured)
    for statement in body:
        uses.visit(statement)
    return Function(
        source=source,
        parameters=parameters,
        defaults=defaults,
        body=body,
        captured=captured,
        assigned=frozenset(assigned),
        arrays=frozenset(uses.arrays),
        scalars=frozenset(uses.scalars),
        stored=frozenset(uses.stored),
        count=count,
        identity=_identity(source.name, (*parameters, count or ""), defaults, body, captured),
    )


def _identity(
    name: str,
    parameters: tuple[str, ...],
    defaults: Mapping[str, Any],
    body: tuple[ast.stmt, ...],
    captured: Mapping[str, Number | Named | Namespace | Function],
) -> str:
    parts = [name, *parameters, *(f"{k} = {type(v)} {v!r}" for k, v in defaults.items())]
    # Positions, comments and blank lines are left out: they compile to nothing.
    parts += [ast.dump(statement) for statement in body if not _is_docstring(statement)]
    parts += [
        f"{key} = {captures.describe(value)}"
        for key, value in captured.items()
        if not isinstance(value, Namespace)
    ]
    return digest(*parts)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _parameters(source: Source, arguments: ast.arguments) -> tuple[str, ...]:
    if arguments.vararg or arguments.kwarg:
        raise source.error("kernels have no *args or **kwargs; name every parameter")
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return tuple(argument.arg for argument in listed)


def _defaults(
    source: Source, arguments: ast.arguments, scopes: tuple[Mapping[str, Any], ...]
) -> dict[str, Any]:
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = list(zip(reversed(positional), reversed(arguments.defaults), strict=False))
    pairs += [
        (argument, value)
        for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if value is not None
    ]
    found: dict[str, Any] = {}
    for argument, node in pairs:
        expression = compile(ast.Expression(node), source.filename, "eval")
        merged = {**scopes[-1], **scopes[0]}
        value = eval(expression, merged)  # noqa: S307 - the user's own default, as Python read it
        if not isinstance(captures.classify(value, argument.arg, read_function), Number):
            raise source.error(f"the default of {argument.arg} is not a number", node)
        found[argument.arg] = value
    return dict(sorted(found.items()))


def assigned_names(body: tuple[ast.stmt, ...]) -> set[str]:
    """Names that the body binds: these are locals, as in Python."""
    return {
        node.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del))
    }


class _CaptureReader:
    """Looks up every free name (and dotted member of a module) of a body."""

    def __init__(
        self,
        source: Source,
        scopes: tuple[Mapping[str, Any], ...],
        local: set[str | None],
        active: tuple[Any, ...],
    ) -> None:
        self.source = source
        self.scopes = scopes
        self.local = local
        self.active = active
        self.found: dict[str, Number | Named | Namespace | Function] = {}

    def read(self, body: tuple[ast.stmt, ...]) -> dict[str, Number | Named | Namespace | Function]:
        for statement in body:
            for node in _expressions(statement):
                if isinstance(node, ast.Name) and node.id not in self.local:
                    self._read_name(node, body)
        for statement in body:
            for node in _expressions(statement):
                if isinstance(node, ast.Attribute):
                    self._read_member(node)
        return self.found

    def _read_name(self, node: ast.Name, body: tuple[ast.stmt, ...]) -> None:
        if node.id in self.found:
            return
        try:
            value = captures.lookup(node.id, self.scopes)
        except KeyError:
            when = "a kernel reads what it captures when it is defined"
            cure = cure_of_undefined(node.id, body)
            raise self.source.error(
                f"{node.id} is not defined; {f'{cure}: {when}' if cure else when}", node
            ) from None
        self._keep(node, node.id, value)

    def _read_member(self, node: ast.Attribute) -> Namespace | None:
        """Resolve ``a.b.c`` from the left; returns the module it names, if it names one."""
        base: Any = None
        if isinstance(node.value, ast.Name):
            base = self.found.get(node.value.id)
        elif isinstance(node.value, ast.Attribute):
            base = self._read_member(node.value)
        if not isinstance(base, Namespace):
            return None
        name = ast.unparse(node)
        if name not in self.found:
            try:
                value = captures.member(base, node.attr)
            except AttributeError:
                module = base.module.__name__
                raise self.source.error(f"{module} has no {node.attr}", node) from None
            self._keep(node, name, value)
        result = self.found[name]
        return result if isinstance(result, Namespace) else None

    def _keep(self, node: ast.AST, name: str, value: Any) -> None:
        captured = captures.classify(value, name, lambda f: read_function(f, self.active))
        if isinstance(captured, Refused):
            raise self.source.error(captured.reason, node)
        self.found[name] = captured


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Every node but annotations, which mean nothing in a kernel."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name == "annotation":
                continue
            children = value if isinstance(value, list) else [value]
            pending.extend(child for child in reversed(children) if isinstance(child, ast.AST))


class _ParameterUses(ast.NodeVisitor):
    """Sorts parameters into arrays and numbers by how the body uses them."""

    def __init__(
        self,
        parameters: set[str],
        captured: Mapping[str, Number | Named | Namespace | Function],
    ) -> None:
        self.parameters = parameters
        self.captured = captured
        self.arrays: set[str] = set()
        self.scalars: set[str] = set()
        self.stored: set[str] = set()

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in self.parameters:
            self.arrays.add(node.value.id)
            if isinstance(node.ctx, ast.Store):
                self.stored.add(node.value.id)
        else:
            self.visit(node.value)
        self.visit(node.slice)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        named = isinstance(node.value, ast.Name) and node.value.id in self.parameters
        if named and node.attr not in _NUMBER_ATTRIBUTES:
            assert isinstance(node.value, ast.Name)
            self.arrays.add(node.value.id)
        else:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        self.visit(node.func)
        callee = self.captured.get(ast.unparse(node.func))
        for position, argument in enumerate(node.args):
            self._visit_argument(callee, position, argument)
        for keyword in node.keywords:
            self._visit_argument(callee, keyword.arg, keyword.value)

    def _visit_argument(self, callee: Any, key: int | str | None, argument: ast.expr) -> None:
        if not isinstance(argument, ast.Name) or argument.id not in self.parameters:
            self.visit(argument)
            return
        if isinstance(callee, Function):
            if isinstance(key, int):
                key = callee.parameters[key] if key < len(callee.parameters) else None
            if key in callee.arrays:
                self.arrays.add(argument.id)
                if key in callee.stored:
                    self.stored.add(argument.id)
                return
        elif isinstance(callee, Named) and callee == Named("builtin", "len"):
            self.arrays.add(argument.id)
            return
        self.scalars.add(argument.id)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.target)
        if isinstance(node.iter, ast.Name) and node.iter.id in self.parameters:
            self.arrays.add(node.iter.id)  # refused where it is typed, by what it is
        else:
            self.visit(node.iter)
        for statement in node.body:
            self.visit(statement)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self.parameters:
            self.scalars.add(node.id)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)
