"""Checks hoisted out of the loops: where subscripts are provably inside, for a whole range.

A subscript such as ``i - 1`` or ``i + k`` (with ``k`` in a known range) is inside for an interval
of ``i``. The code before the loops computes that *interior* from sizes and params, and the
body runs there without checks; the few indices around it run a second copy with them. A subscript
that is not of this form keeps its check everywhere.

Intervals are computed in float64, which is exact below 2**53: as long as nothing passes 2**52 the
int64 arithmetic of the body cannot have wrapped, and otherwise there is no interior.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from gpures_lab.kernels.typed.accesses import walk
from gpures_lab.kernels.typed.tree import (
    Assign,
    Cast,
    Const,
    Count,
    Expr,
    Extent,
    For,
    If,
    Index,
    Load,
    Local,
    Op,
    Param,
    Select,
    Size,
    Stmt,
    Store,
    TypedFunction,
    While,
)

__all__ = ["Interior", "interior"]

_EXACT = float(2**52)


Bound = float | str
"""A number known now, or float64 code."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Lowest and highest value; plus, where ``unit`` is set, that index."""

    low: Bound
    high: Bound
    unit: int | None = None


_FOLDED: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "floor_divide": lambda a, b: a // b if b else 0.0,
    "negative": operator.neg,
    "absolute": abs,
    "python_min": min,
    "python_max": max,
}


def _code(bound: Bound) -> str:
    return f"to_float64({bound!r})" if isinstance(bound, float) else bound


def _op(name: str, *args: Bound) -> Bound:
    """An operation, done now where its operands are numbers."""
    numbers = [arg for arg in args if isinstance(arg, float)]
    if len(numbers) == len(args):
        return _FOLDED[name](*numbers)
    if name in ("add", "subtract") and args[1] == 0.0:
        return args[0]
    if name == "add" and args[0] == 0.0:
        return args[1]
    return f"{name}({', '.join(_code(arg) for arg in args)})"


def _least(*bounds: Bound) -> Bound:
    return reduce(partial(_op, "python_min"), bounds)


def _most(*bounds: Bound) -> Bound:
    return reduce(partial(_op, "python_max"), bounds)


@dataclass(frozen=True, slots=True)
class Interior:
    """What the loops need.

    Attributes
    ----------
    lines
        Code before the loops; leaves the interior of index ``d`` in ``low{d}`` and ``high{d}``.
    proven
        ``id`` of each load and store that needs no check there.
    axes
        Indices whose interior is narrower than their range.
    """

    lines: tuple[str, ...]
    proven: frozenset[int]
    axes: frozenset[int]


def interior(body: TypedFunction, indices: int, ndims: tuple[int, ...]) -> Interior:
    """Find the accesses of ``body`` that can be proven inside, and the code that proves it."""
    finder = _Finder(body, indices, ndims)
    finder.block(body.body, {})
    lines = list(finder.lines)
    if finder.proven:
        lines = ["big = to_float64(0)", *lines, *finder.tests]
        lines += [f"if big >= {_EXACT!r}:", "    sound = to_bool(0)", "if not sound:"]
        lines += [f"    high{axis} = low{axis}" for axis in range(indices)]
    return Interior(tuple(lines), frozenset(finder.proven), frozenset(finder.axes))


class _Finder:
    def __init__(self, body: TypedFunction, indices: int, ndims: tuple[int, ...]) -> None:
        self.indices = indices
        self.ndims = ndims
        self.lines: list[str] = []
        self.tests: list[str] = ["sound = to_bool(1)"]
        self.proven: set[int] = set()
        self.axes: set[int] = set()
        self.given: dict[str, str] = {}
        nodes = [node for statement in body.body for node in walk(statement)]
        self.assigned = Counter(
            node.name for node in nodes if isinstance(node, (Assign, For))
        )

    # Statements: a local counts as its value where one assignment alone can have made it.

    def block(self, statements: tuple[Stmt, ...], known: dict[str, _Span]) -> None:
        known = dict(known)
        for statement in statements:
            self.statement(statement, known)

    def statement(self, statement: Stmt, known: dict[str, _Span]) -> None:
        if isinstance(statement, Assign):
            self.expression(statement.value, known)
            if self.assigned[statement.name] == 1:
                span = self.span(statement.value, known)
                if span is not None:
                    known[statement.name] = span
        elif isinstance(statement, If):
            self.expression(statement.test, known)
            self.block(statement.body, known)
            self.block(statement.orelse, known)
        elif isinstance(statement, While):
            self.expression(statement.test, known)
            self.block(statement.body, known)
        elif isinstance(statement, For):
            self.loop(statement, known)
        else:
            self.expression(statement, known)

    def loop(self, loop: For, known: dict[str, _Span]) -> None:
        for bound in (loop.start, loop.stop, loop.step):
            self.expression(bound, known)
        inside = dict(known)
        inside.pop(loop.name, None)
        span = self.loop_span(loop, known)
        reassigned = any(
            isinstance(node, (Assign, For)) and node.name == loop.name
            for statement in loop.body
            for node in walk(statement)
        )
        if span is not None and not reassigned:
            inside[loop.name] = span
        self.block(loop.body, inside)

    def loop_span(self, loop: For, known: dict[str, _Span]) -> _Span | None:
        start, stop = self.flat(loop.start, known), self.flat(loop.stop, known)
        if start is None or stop is None or not isinstance(loop.step, Const):
            return None
        if int(loop.step.value) > 0:
            return self.named(start.low, _op("subtract", stop.high, 1.0))
        return self.named(_op("add", stop.low, 1.0), start.high)

    # Accesses

    def expression(self, root: Expr | Stmt, known: dict[str, _Span]) -> None:
        for node in walk(root):
            if isinstance(node, (Load, Store)):
                self.access(node, known)

    def access(self, access: Load | Store, known: dict[str, _Span]) -> None:
        slot, spans = access.slot, [self.span(each, known) for each in access.subscripts]
        if any(span is None for span in spans):
            return
        flat = len(spans) == 1
        for axis, span in enumerate(spans):
            assert span is not None
            extent = f"to_float64(n{slot})" if flat else f"to_float64(s{slot}_{axis})"
            self.constrain(span, extent)
        self.proven.add(id(access))

    def constrain(self, span: _Span, extent: str) -> None:
        low, high = span.low, span.high
        if span.unit is None:
            self.test(f"sound = sound and {_code(low)} >= 0.0 and {_code(high)} < {extent}")
            return
        d = span.unit
        self.axes.add(d)
        if not (isinstance(low, float) and low >= 0.0):
            self.test(f"low{d} = python_max(low{d}, to_int64({_code(_op('negative', low))}))")
        end = _code(_op("subtract", extent, high))
        self.test(f"high{d} = python_min(high{d}, to_int64({end}))")

    def test(self, line: str) -> None:
        if line not in self.tests:
            self.tests.append(line)

    # Intervals

    def named(self, low: Bound, high: Bound, unit: int | None = None) -> _Span:
        """Give computed bounds names, and keep the largest magnitude seen."""
        low, high = self.name(low), high if high == low else self.name(high)
        return _Span(low, low if high == low else high, unit)

    def name(self, bound: Bound) -> Bound:
        if isinstance(bound, float):
            if abs(bound) >= _EXACT:
                self.line("big", _code(abs(bound)))
            return bound
        if bound in self.given:
            return self.given[bound]
        name = f"b{len(self.given)}"
        self.given[bound] = name
        self.line(name, bound)
        self.line("big", f"python_max(big, absolute({name}))")
        return name

    def line(self, name: str, value: str) -> None:
        self.lines.append(f"{name} = {value}")

    def flat(self, node: Expr, known: dict[str, _Span]) -> _Span | None:
        """The interval of the whole value, over the whole range of its index."""
        span = self.span(node, known)
        return None if span is None else self.flatten(span)

    def flatten(self, span: _Span) -> _Span:
        if span.unit is None:
            return span
        d = span.unit
        return self.named(
            _op("add", span.low, f"to_float64(first{d})"),
            _op("add", span.high, f"subtract(to_float64(last{d}), 1.0)"),
        )

    def span(self, node: Expr, known: dict[str, _Span]) -> _Span | None:
        if not node.type.is_integer:
            return None
        if isinstance(node, Const):
            value = float(int(node.value))
            return self.named(value, value)
        if isinstance(node, Index):
            return _Span(0.0, 0.0, node.axis)
        if isinstance(node, Local):
            return known.get(node.name)
        if isinstance(node, Cast):
            return self.cast(node, known)
        if isinstance(node, Load):
            return self.narrow(node.type.dtype)
        if isinstance(node, Select):
            return self.union(node, known)
        if isinstance(node, Op):
            return self.operation(node, known) if node.type.dtype == "int64" else None
        fixed = self.fixed(node)
        return None if fixed is None else self.named(fixed, fixed)

    def fixed(self, node: Expr) -> str | None:
        """A value that does not change during the call."""
        if isinstance(node, Count):
            return "to_float64(count)"
        if isinstance(node, Size) or (isinstance(node, Extent) and self.ndims[node.slot] < 2):
            return f"to_float64(n{node.slot})"
        if isinstance(node, Extent):
            return f"to_float64(s{node.slot}_{node.axis})"
        if isinstance(node, Param) and node.type.dtype != "uint64":
            return f"to_float64(q{node.position})"
        return None

    def narrow(self, dtype: str) -> _Span | None:
        """A loaded value of few bits is inside its dtype's range."""
        if dtype not in ("int8", "int16", "uint8", "uint16"):
            return None
        limits = np.iinfo(dtype)
        return _Span(float(limits.min), float(limits.max))

    def cast(self, node: Cast, known: dict[str, _Span]) -> _Span | None:
        source = node.value.type
        if not source.is_integer or source.dtype == "uint64" or node.type.dtype != "int64":
            return None
        return self.span(node.value, known)

    def union(self, node: Select, known: dict[str, _Span]) -> _Span | None:
        if node.type.dtype != "int64":
            return None
        then, other = self.flat(node.then, known), self.flat(node.other, known)
        if then is None or other is None:
            return None
        return self.named(_least(then.low, other.low), _most(then.high, other.high))

    def operation(self, node: Op, known: dict[str, _Span]) -> _Span | None:
        given = [span for each in node.args if (span := self.span(each, known)) is not None]
        if len(given) != len(node.args):
            return None
        if node.name == "positive":
            return given[0]
        if node.name in ("add", "subtract"):
            return self.sum(node.name, *given)
        rule = {
            "negative": self.negative,
            "absolute": self.absolute,
            "python_min": self.minimum,
            "python_max": self.maximum,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "multiply": self.product,
            "floor_divide": self.quotient,
            "remainder": self.rest,
        }.get(node.name)
        return None if rule is None else rule(*[self.flatten(span) for span in given])

    def sum(self, name: str, left: _Span, right: _Span) -> _Span:
        if right.unit is not None and (name == "subtract" or left.unit is not None):
            right = self.flatten(right)
        unit = left.unit if left.unit is not None else right.unit
        low, high = (right.low, right.high) if name == "add" else (right.high, right.low)
        return self.named(_op(name, left.low, low), _op(name, left.high, high), unit)

    def negative(self, value: _Span) -> _Span:
        return self.named(_op("negative", value.high), _op("negative", value.low))

    def absolute(self, value: _Span) -> _Span:
        return self.named(0.0, _most(_op("absolute", value.low), _op("absolute", value.high)))

    def minimum(self, left: _Span, right: _Span) -> _Span:
        return self.named(_least(left.low, right.low), _least(left.high, right.high))

    def maximum(self, left: _Span, right: _Span) -> _Span:
        return self.named(_most(left.low, right.low), _most(left.high, right.high))

    def product(self, left: _Span, right: _Span) -> _Span:
        corners = _corners("multiply", left, right)
        return self.named(_least(*corners), _most(*corners))

    def quotient(self, left: _Span, right: _Span) -> _Span:
        """``a // b`` lies within ``-|a|`` and ``|a|``; for a positive divisor, in its corners."""
        corners = _corners("floor_divide", left, right)
        low, high = _least(*corners), _most(*corners)
        if isinstance(right.low, float) and right.low >= 1.0:
            return self.named(low, high)
        most = self.absolute(left).high
        test = f"{_code(right.low)} >= 1.0"
        return self.named(
            f"({_code(low)} if {test} else {_code(_op('negative', most))})",
            f"({_code(high)} if {test} else {_code(most)})",
        )

    def rest(self, _left: _Span, right: _Span) -> _Span:
        """``a % b`` has the divisor's sign and is smaller; by zero it is 0."""
        return self.named(
            _least(_op("add", right.low, 1.0), 0.0), _most(_op("subtract", right.high, 1.0), 0.0)
        )


def _corners(name: str, left: _Span, right: _Span) -> list[Bound]:
    return [_op(name, a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
