"""C++ kernels for the host driver: generated file → shared library → address."""

from __future__ import annotations

import ctypes
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gpures_lab.errors import DtypeMismatch
from gpures_lab.kernels.artifact import Artifact
from gpures_lab.kernels.cpp.compiler import compile_library, find_compiler
from gpures_lab.kernels.cpp.declaration import CppBody
from gpures_lab.kernels.cpp.pointer_use import check_pointer_use
from gpures_lab.kernels.cpp.source_text import write_source
from gpures_lab.kernels.cpp.subscripts import space_rule
from gpures_lab.kernels.signature import HostCode, Signature, SpaceRule
from gpures_lab.kernels.typed.kernel import compiled_arrays

if TYPE_CHECKING:
    from gpures_lab.kernels.definition import Kernel

__all__ = ["build", "check_dtypes", "load", "versions"]

_KIND_DTYPES = {"int": "int64", "float": "float64", "complex": "complex128", "bool": "bool"}


def versions(kernel: Kernel) -> tuple[str, ...]:
    """The compiler: another one, or another version, compiles again."""
    found = find_compiler(kernel.name)
    return (*found.command, found.version)


def build(kernel: Kernel, names: tuple[str, ...], signature: Signature) -> Artifact:
    """Compile; ``names`` are the arrays' parameters in binding order.

    Raises
    ------
    DtypeMismatch
        An array or param of the call has another dtype than declared.
    CompileError
        The body is refused, by us or by the compiler.
    """
    body = kernel.definition
    assert isinstance(body, CppBody)
    check_dtypes(kernel, body, names, signature)
    if signature.checked:
        check_pointer_use(body.source, body.array_names)
    text = write_source(body, names, signature)
    library = compile_library(body.source, text, checked=signature.checked)
    positions, _ = compiled_arrays(signature)
    rule = space_rule(body.source, names, signature.inputs)
    meta = {
        "arrays": list(positions),
        "indices": body.indices,
        "is_map": body.is_map,
        "adds_up": rule.adds_up,
        "followed": list(rule.followed),
    }
    return Artifact(".so", library, meta)


def check_dtypes(
    kernel: Kernel, body: CppBody, names: tuple[str, ...], signature: Signature
) -> None:
    """Refuse a call whose dtypes are not the declared ones."""
    declared = {parameter.name: parameter for parameter in body.parameters}
    for name, spec in zip(names, signature.arrays, strict=True):
        wanted = declared[name]
        if spec.dtype != wanted.dtype:
            raise DtypeMismatch(
                f"kernel {kernel.name} declares {name} as {wanted.spelled}* ({wanted.dtype}); this "
                f"call passes {spec.dtype}; allocate it as {wanted.dtype}, or declare another type",
                kernel=kernel.name,
                parameter=name,
                declared=wanted.dtype,
                given=spec.dtype,
            )
    for param in signature.params:
        wanted = declared[param.name]
        given = _KIND_DTYPES.get(param.kind, param.kind)
        if not np.can_cast(given, wanted.dtype, "same_kind") and wanted.dtype != "bool":
            integers = np.dtype(given).kind in "iu" and np.dtype(wanted.dtype).kind in "iu"
            if integers:
                continue
            raise DtypeMismatch(
                f"kernel {kernel.name} declares {param.name} as {wanted.spelled} ({wanted.dtype}); "
                f"this call passes a {param.kind}",
                kernel=kernel.name,
                parameter=param.name,
                declared=wanted.dtype,
                given=param.kind,
            )


def load(artifact: Artifact, path: Path | None, *, from_disk: bool) -> HostCode | None:
    """Load the library into this process; None if what lay on disk cannot be used."""
    try:
        library = _open(artifact, path)
        address = ctypes.cast(library.gpures_kernel, ctypes.c_void_p).value
    except (OSError, AttributeError):
        if from_disk:
            return None
        raise
    assert address is not None
    meta = artifact.meta
    return HostCode(
        address=address,
        owner=library,
        arrays=tuple(meta["arrays"]),
        indices=int(meta["indices"]),
        is_map=bool(meta["is_map"]),
        is_straight=False,  # loops are not looked for in C++
        is_reduction=False,
        may_fault=True,
        cache_hit=from_disk,
        space_rule=SpaceRule(int(meta["adds_up"]), tuple(meta["followed"])),
    )


def _open(artifact: Artifact, path: Path | None) -> ctypes.CDLL:
    if path is not None:
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            pass  # a cache folder that programs cannot be run from: load a copy instead
    with tempfile.TemporaryDirectory(prefix="gpures-") as folder:
        copy = Path(folder) / "kernel.so"
        copy.write_bytes(artifact.payload)
        return ctypes.CDLL(str(copy))
