"""A signature for a kernel that no call has given one: what `compile-check` compiles it for."""

from __future__ import annotations

from gpures_lab.errors import CompileError
from gpures_lab.kernels.cpp.declaration import CppBody
from gpures_lab.kernels.definition import Kernel
from gpures_lab.kernels.signature import ArraySpec, ParamSpec, Signature

__all__ = ["likely_signature"]


def likely_signature(kernel: Kernel, dtype: str = "float32") -> Signature:
    """Distinct arrays with as many dimensions as the kernel has indices; params as declared.

    C++ kernels say their dtypes; a Python kernel's arrays are of ``dtype``, its params Python
    floats, or whole numbers where the default is one.

    Raises
    ------
    CompileError
        An input is declared after an output, so no call could bind the arrays.
    """
    definition = kernel.definition
    if isinstance(definition, CppBody):
        inputs = [p for p in definition.parameters if p.is_input]
        outputs = [p for p in definition.parameters if p.is_output]
        arrays = tuple(ArraySpec(p.dtype, kernel.indices) for p in (*inputs, *outputs))
        params = tuple(ParamSpec(p.name, p.dtype) for p in definition.parameters if not p.is_array)
        return _signature(kernel, arrays, len(inputs), params)
    if kernel.kind == "reduction":
        spec = ArraySpec(dtype, 1)
        given = tuple(ParamSpec(name, "float") for name in kernel.parameters[1:])
        return _signature(kernel, (spec, spec), 1, given)
    names = [name for name in kernel.parameters if name in definition.arrays]
    stored = [name in definition.stored for name in names]
    if True not in stored or False in stored[stored.index(True) :]:
        raise CompileError(
            f"kernel {kernel.name}: its arrays {', '.join(names)} are not inputs, then outputs",
            kernel=kernel.name,
        )
    arrays = (ArraySpec(dtype, kernel.indices),) * len(names)
    params = tuple(
        ParamSpec(name, _kind(name, kernel)) for name in kernel.parameters if name not in names
    )
    return _signature(kernel, arrays, stored.index(True), params)


def _kind(name: str, kernel: Kernel) -> str:
    value = kernel.defaults.get(name)
    return "int" if isinstance(value, int) or name in ("count", "steps", "n") else "float"


def _signature(
    kernel: Kernel, arrays: tuple[ArraySpec, ...], inputs: int, params: tuple[ParamSpec, ...]
) -> Signature:
    return Signature(arrays, tuple(range(len(arrays))), inputs, params, kernel.checked)
