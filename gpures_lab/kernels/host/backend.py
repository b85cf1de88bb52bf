"""Python kernels for the host driver: typed body → object code → address."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gpures_lab.errors import CompileError, GpuResError
from gpures_lab.kernels.artifact import Artifact
from gpures_lab.kernels.host.objects import LinkError, ObjectCode, link
from gpures_lab.kernels.machine_identity import package_version
from gpures_lab.kernels.signature import HostCode, Signature, SpaceRule

if TYPE_CHECKING:
    from gpures_lab.kernels.definition import Kernel

__all__ = ["build", "load", "versions"]


def versions() -> tuple[str, ...]:
    """Everything whose version changes the code that Python kernels compile to."""
    packages = ("numba", "llvmlite", "numpy")
    return (sys.version, *(f"{name} {package_version(name)}" for name in packages))


def build(kernel: Kernel, names: tuple[str, ...], signature: Signature) -> Artifact:
    """Compile; ``names`` are the parameters in binding order.

    Raises
    ------
    CompileError
        The body has no meaning for these dtypes.
    """
    # Not for what lies on disk: these are thousands of lines, Numba hundreds of thousands.
    from gpures_lab.kernels.host.emit import emit
    from gpures_lab.kernels.typed.kernel import type_kernel

    typed = type_kernel(kernel, names, signature)
    emitted = emit(typed)
    from gpures_lab.kernels.host.numba_compiler import compile_object

    try:
        code = compile_object(emitted, typed.arrays)
    except GpuResError:
        raise
    except Exception as reason:
        raise CompileError(
            f"kernel {kernel.name}: Numba refused the code made of its body: {reason}",
            kernel=kernel.name,
            emitted=emitted.text,
        ) from reason
    meta: dict[str, Any] = {
        "symbol": code.symbol,
        "imports": list(code.imports),
        "arrays": list(typed.positions),
        "indices": typed.indices,
        "is_map": typed.is_map,
        "is_straight": typed.is_straight,
        "is_reduction": kernel.kind == "reduction",
        "adds_up": typed.space_rule.adds_up,
        "followed": list(typed.space_rule.followed),
    }
    return Artifact(".o", code.data, meta)


def load(artifact: Artifact, *, from_disk: bool) -> HostCode | None:
    """Link the object code into this process; None if what lay on disk cannot be used."""
    meta = artifact.meta
    code = ObjectCode(str(meta["symbol"]), artifact.payload, tuple(meta["imports"]))
    try:
        address, owner = link(code)
    except LinkError:
        if from_disk:
            return None
        raise
    return HostCode(
        address=address,
        owner=owner,
        arrays=tuple(meta["arrays"]),
        indices=int(meta["indices"]),
        is_map=bool(meta["is_map"]),
        is_straight=bool(meta["is_straight"]),
        is_reduction=bool(meta["is_reduction"]),
        may_fault=False,
        cache_hit=from_disk,
        space_rule=SpaceRule(int(meta["adds_up"]), tuple(meta["followed"])),
    )
