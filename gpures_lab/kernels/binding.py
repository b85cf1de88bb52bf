"""How the arrays and params of one call meet a kernel's parameters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gpures_lab.errors import CompileError, InvalidOption
from gpures_lab.kernels.cpp.declaration import CppBody
from gpures_lab.kernels.definition import Kernel

__all__ = ["Binding", "bind"]


@dataclass(frozen=True, slots=True)
class Binding:
    """Which parameter each argument of a call is.

    Attributes
    ----------
    arrays
        Parameter names in binding order: inputs, then outputs. A reduction's output has no
        parameter and is called ``acc``'s name.
    inputs
        How many of ``arrays`` are inputs.
    params
        Names of the scalar params, in declared order, defaults included.
    """

    arrays: tuple[str, ...]
    inputs: int
    params: tuple[str, ...]


def bind(kernel: Kernel, inputs: int, outputs: int, params: Collection[str]) -> Binding:
    """Match ``inputs`` and ``outputs`` arrays and the given param names with a kernel.

    Raises
    ------
    InvalidOption
        A wrong number of arrays, a param that is missing, or one the kernel does not have.
    CompileError
        The body stores to a parameter that is bound as an input.
    """
    definition = kernel.definition
    if isinstance(definition, CppBody):
        binding = _bind_cpp(kernel, definition, inputs, outputs)
    elif kernel.kind == "reduction":
        if outputs != 1 or inputs < 1:
            raise _count_error(kernel, "at least 1 input and exactly 1 output", inputs, outputs)
        if inputs > len(kernel.parameters):
            allowed = f"at most {len(kernel.parameters)} inputs ({', '.join(kernel.parameters)})"
            raise _count_error(kernel, allowed, inputs, outputs)
        names = (*kernel.parameters[:inputs], definition.parameters[0])
        binding = Binding(names, inputs, kernel.parameters[inputs:])
    else:
        binding = _bind_index(kernel, inputs, outputs)
        for name in binding.arrays[:inputs]:
            if name in definition.stored:
                raise CompileError(
                    f"kernel {kernel.name} stores to {name}, which this call binds as an input "
                    f"({inputs} inputs: {', '.join(binding.arrays[:inputs])}); pass its handle "
                    "among the outputs",
                    kernel=kernel.name,
                    parameter=name,
                )
    _check_params(kernel, binding, params)
    return binding


def _bind_index(kernel: Kernel, inputs: int, outputs: int) -> Binding:
    definition = kernel.definition
    assert not isinstance(definition, CppBody)
    total = inputs + outputs
    arrays = [p for p, name in enumerate(kernel.parameters) if name in definition.arrays]
    scalars = [
        p
        for p, name in enumerate(kernel.parameters)
        if name in definition.scalars or name in definition.defaults
    ]
    least = arrays[-1] + 1 if arrays else 0
    most = scalars[0] if scalars else len(kernel.parameters)
    if not least <= total <= most or outputs < 1:
        names = ", ".join(kernel.parameters[:most])
        number = str(most) if least == most else f"{least} to {most}"
        raise _count_error(
            kernel, f"{number} arrays ({names}), at least 1 of them an output", inputs, outputs
        )
    return Binding(kernel.parameters[:total], inputs, kernel.parameters[total:])


def _bind_cpp(kernel: Kernel, body: CppBody, inputs: int, outputs: int) -> Binding:
    names_in = tuple(p.name for p in body.parameters if p.is_input)
    names_out = tuple(p.name for p in body.parameters if p.is_output)
    if (inputs, outputs) != (len(names_in), len(names_out)):
        expected = (
            f"{len(names_in)} inputs ({', '.join(names_in) or 'none'}) and "
            f"{len(names_out)} outputs ({', '.join(names_out)})"
        )
        raise _count_error(kernel, expected, inputs, outputs)
    scalars = tuple(p.name for p in body.parameters if not p.is_array)
    return Binding(names_in + names_out, inputs, scalars)


def _count_error(kernel: Kernel, expected: str, inputs: int, outputs: int) -> InvalidOption:
    return InvalidOption(
        f"kernel {kernel.name} takes {expected}; got {inputs} inputs and {outputs} outputs",
        kernel=kernel.name,
        inputs=inputs,
        outputs=outputs,
    )


def _check_params(kernel: Kernel, binding: Binding, given: Collection[str]) -> None:
    declared = ", ".join(binding.params) or "none"
    unknown = sorted(set(given) - set(binding.params))
    if unknown:
        array = [name for name in unknown if name in binding.arrays]
        hint = f"; {array[0]} is an array, pass its handle among inputs or outputs" if array else ""
        raise InvalidOption(
            f"kernel {kernel.name} has no param {', '.join(unknown)}; its params: {declared}{hint}",
            kernel=kernel.name,
            unknown=tuple(unknown),
        )
    missing = [name for name in binding.params if name not in given and name not in kernel.defaults]
    if missing:
        raise InvalidOption(
            f"kernel {kernel.name} needs the param {', '.join(missing)}; its params: {declared}; "
            f"pass params={{{missing[0]!r}: ...}}",
            kernel=kernel.name,
            missing=tuple(missing),
        )
