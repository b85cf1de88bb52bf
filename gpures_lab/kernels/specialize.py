"""From the handles and params of one call to a version of a user's kernel, for the ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab._core import _native
from gpures_lab.kernels.binding import bind
from gpures_lab.kernels.compilation import compile_host, describe_device
from gpures_lab.kernels.signature import ArraySpec, ParamSpec, Signature

if TYPE_CHECKING:
    from gpures_lab.kernels.definition import Kernel

__all__ = ["scalars", "signature_of", "specialize"]

ANY_SIZE, AT_LEAST_N, ONLY_ONE = 0, 1, 3  # ElementsRule of _core/shared/layout.hpp


def scalars(kernel: Kernel, inputs: int, outputs: int) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of the scalar params when so many arrays are bound, and the defaults among them."""
    # Params are checked by name per call; here only the split of the arrays matters.
    everything = tuple(kernel.parameters)
    binding = bind(kernel, inputs, outputs, _after_arrays(kernel, inputs, outputs, everything))
    defaults = {name: kernel.defaults[name] for name in binding.params if name in kernel.defaults}
    return binding.params, defaults


def _after_arrays(
    kernel: Kernel, inputs: int, outputs: int, names: tuple[str, ...]
) -> tuple[str, ...]:
    if kernel.language == "cpp":
        return tuple(p.name for p in kernel.definition.parameters if not p.is_array)  # type: ignore[union-attr]
    return names[inputs if kernel.kind == "reduction" else inputs + outputs :]


def signature_of(  # noqa: PLR0917 - the arguments of specialize()
    kernel: Kernel,
    inputs: int,
    arrays: tuple[Any, ...],
    same: tuple[int, ...],
    values: tuple[Any, ...],
    checked: bool,
) -> Signature:
    """What a call's code depends on."""
    names, _ = scalars(kernel, inputs, len(arrays) - inputs)
    return Signature(
        arrays=tuple(ArraySpec(array.dtype.name, array.ndim) for array in arrays),
        same=same,
        inputs=inputs,
        params=tuple(
            ParamSpec(name, _kind(value)) for name, value in zip(names, values, strict=True)
        ),
        checked=checked,
    )


def specialize(  # noqa: PLR0917 - called by position from native code
    kernel: Kernel,
    inputs: int,
    arrays: tuple[Any, ...],
    same: tuple[int, ...],
    values: tuple[Any, ...],
    checked: bool,
    device: bool,
) -> tuple[Any, ...]:
    """Compile, or find in a cache, and describe the code as the native binding takes it.

    For a device nothing is compiled here: the binding asks for that next (`Kernel._for_device`),
    and a machine with a GPU may have no compiler for the host.
    """
    signature = signature_of(kernel, inputs, arrays, same, values, checked)
    code = describe_device(kernel, signature) if device else compile_host(kernel, signature)
    flags = _native.kernel_flags
    return (
        code.address,
        code.owner,
        code.arrays,
        code.indices,
        flags["user"]
        | flags["map"] * code.is_map
        | flags["straight"] * code.is_straight
        | flags["reduction"] * code.is_reduction
        | flags["may_fault"] * code.may_fault,
        tuple(arrays[p].dtype.itemsize for p in code.arrays),
        tuple(_rule(code, p < inputs) for p in code.arrays),
        tuple(arrays[p].ndim for p in code.arrays),
        tuple(int(_is_output(same, p, inputs)) for p in code.arrays),
        (),
        (),
        tuple(_called(kernel, p, inputs) for p in code.arrays),
        code.space_rule.adds_up,
        code.space_rule.followed,
        code.at_hand,
    )


def _called(kernel: Kernel, position: int, inputs: int) -> str:
    """What errors call an array: its name in the kernel; a reduction names no output."""
    names = tuple(kernel.parameters)
    if kernel.kind == "reduction" and position >= inputs:
        return "the output"
    return f"array {names[position]}" if position < len(names) else f"array {position}"


def _kind(value: Any) -> str:
    # bool before int: True is an int to Python.
    for kind, python in (("bool", bool), ("int", int), ("float", float), ("complex", complex)):
        if type(value) is python:
            return kind
    return np.asarray(value).dtype.name


def _rule(code: Any, is_input: bool) -> int:
    if code.is_reduction:
        return AT_LEAST_N if is_input else ONLY_ONE
    return AT_LEAST_N if code.is_map else ANY_SIZE


def _is_output(same: tuple[int, ...], position: int, inputs: int) -> bool:
    return any(first == position and q >= inputs for q, first in enumerate(same))
