"""A kernel and one call's signature, typed: what every target's compiler starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab.errors import CompileError
from gpures_lab.kernels.function import Function
from gpures_lab.kernels.signature import ArraySpec, ParamSpec, Signature, SpaceRule
from gpures_lab.kernels.typed.accesses import check_in_place, is_map, is_straight
from gpures_lab.kernels.typed.body import type_function
from gpures_lab.kernels.typed.index_space import space_rule
from gpures_lab.kernels.typed.operations import cast
from gpures_lab.kernels.typed.scalars import (
    BOOL,
    COMPUTABLE,
    INDEX,
    WEAK_COMPLEX,
    WEAK_FLOAT,
    WEAK_INT,
    Origin,
    Scalar,
    element,
)
from gpures_lab.kernels.typed.scope import Scope, Unit
from gpures_lab.kernels.typed.tree import Count, Expr, Index, Load, Local, Param, TypedFunction

if TYPE_CHECKING:
    from gpures_lab.kernels.definition import Kernel

__all__ = ["TypedKernel", "compiled_arrays", "param_words", "type_kernel"]

_WEAK = {"int": WEAK_INT, "float": WEAK_FLOAT, "bool": BOOL, "complex": WEAK_COMPLEX}


@dataclass(frozen=True, slots=True)
class TypedKernel:
    """A typed body with what surrounds it.

    Attributes
    ----------
    arrays
        Distinct arrays in compiled order (slots).
    positions
        Binding position of each slot.
    params
        Dtype and first 8-byte word of each param.
    init, output
        A reduction's start value (None for an index kernel) and the slot of its output.
    space_rule
        What a call's index space is held against.
    """

    name: str
    indices: int
    arrays: tuple[ArraySpec, ...]
    positions: tuple[int, ...]
    params: tuple[tuple[str, int], ...]
    body: TypedFunction
    is_map: bool
    is_straight: bool
    checked: bool
    init: Any
    output: int
    space_rule: SpaceRule


def compiled_arrays(signature: Signature) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Binding positions that are passed, and the slot of every binding position."""
    positions = tuple(p for p, first in enumerate(signature.same) if p == first)
    return positions, tuple(positions.index(first) for first in signature.same)


def param_words(params: tuple[ParamSpec, ...]) -> tuple[tuple[str, int], ...]:
    """Dtype and first word of each param in the call's block of 8-byte words."""
    placed, word = [], 0
    for param in params:
        dtype = _param_type(param).dtype
        placed.append(("int64" if param.kind == "bool" else dtype, word))
        word += 2 if dtype == "complex128" else 1
    return tuple(placed)


def _param_type(param: ParamSpec) -> Scalar:
    return _WEAK.get(param.kind) or Scalar(param.kind, Origin.EXPLICIT)


def type_kernel(kernel: Kernel, names: tuple[str, ...], signature: Signature) -> TypedKernel:
    """Type a Python kernel for one signature; ``names`` are its parameters in binding order.

    Raises
    ------
    CompileError
        A dtype that cannot be computed with, or a body that has no meaning for these dtypes.
    """
    function = kernel.definition
    assert isinstance(function, Function)
    _check_dtypes(kernel, names, signature)
    positions, slots = compiled_arrays(signature)
    arrays = tuple(signature.arrays[position] for position in positions)
    unit = Unit(arrays)
    params: dict[str, Expr] = {}
    for k, param in enumerate(signature.params):
        read: Expr = Param(_param_type(param), k)
        if param.kind == "bool":
            read = cast(Param(WEAK_INT, k), "bool", BOOL)
        params[param.name] = read
    scope = Scope(unit, function, {}, params, frozenset())
    if kernel.kind == "reduction":
        output = slots[-1]
        body = _type_reduction(scope, names, slots, signature)
        map_found = False
        rule = SpaceRule()
    else:
        output = -1
        scope.arrays = dict(zip(names, slots, strict=True))
        indices: dict[str, Expr] = {"ijk"[k]: Index(INDEX, k) for k in range(kernel.indices)}
        if function.count is not None:
            indices[function.count] = Count(INDEX)
        scope.numbers = {**indices, **params}
        scope.writable = frozenset(names[signature.inputs :])
        body = type_function(scope, (), "body", returns=False)
        check_in_place(body, function.source)
        map_found = is_map(body, arrays, kernel.indices)
        rule = space_rule(body, positions, slots[signature.inputs])
    return TypedKernel(
        name=kernel.name,
        indices=kernel.indices,
        arrays=arrays,
        positions=positions,
        params=param_words(signature.params),
        body=body,
        is_map=map_found,
        is_straight=is_straight(body),
        checked=signature.checked,
        init=kernel.init,
        output=output,
        space_rule=rule,
    )


def _type_reduction(
    scope: Scope, names: tuple[str, ...], slots: tuple[int, ...], signature: Signature
) -> TypedFunction:
    """A reduction's inputs are reads of this index; its accumulator is a local called ``acc``."""
    function = scope.function
    if slots[-1] in slots[:-1]:
        raise function.source.error("a reduction's output cannot be one of its inputs")
    own = (Index(INDEX, 0),)
    values: dict[str, Expr] = {
        name: Load(element(scope.unit.arrays[slot].dtype), slot, own)
        for name, slot in zip(names[:-1], slots[:-1], strict=True)
    }
    accumulator = Scalar(signature.arrays[-1].dtype, Origin.EXPLICIT)
    start: dict[str, Expr] = {names[-1]: Local(accumulator, "=acc")}
    scope.numbers = {**start, **values, **scope.numbers}
    scope.result, scope.fixed_result = accumulator, True
    return type_function(scope, (), "body")


def _check_dtypes(kernel: Kernel, names: tuple[str, ...], signature: Signature) -> None:
    given = [(name, spec.dtype) for name, spec in zip(names, signature.arrays, strict=True)]
    given += [(param.name, _param_type(param).dtype) for param in signature.params]
    for name, dtype in given:
        if dtype not in COMPUTABLE:
            hint = "it can be held and moved, not computed with; write it into a float32 array"
            other = f"kernels compute with {', '.join(COMPUTABLE)}"
            raise CompileError(
                f"kernel {kernel.name}: {name} is {dtype}; "
                + (hint if dtype == "float16" else other),
                kernel=kernel.name,
                parameter=name,
                dtype=dtype,
            )
    if any(not np.dtype(dtype).isnative for _, dtype in given):
        raise CompileError(f"kernel {kernel.name}: arrays are in native byte order")
