"""``compile_host``: a kernel and a call's signature to machine code, through both caches."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gpures_lab.errors import InvalidOption
from gpures_lab.kernels import disk
from gpures_lab.kernels.artifact import Artifact
from gpures_lab.kernels.binding import Binding, bind
from gpures_lab.kernels.cache import CacheCounters, KernelCache
from gpures_lab.kernels.definition import Kernel
from gpures_lab.kernels.identity import digest
from gpures_lab.kernels.machine_identity import front_end_digest, processor
from gpures_lab.kernels.signature import HostCode, Signature

__all__ = [
    "binding_of",
    "cache_counters",
    "compile_host",
    "describe_device",
    "forget_compiled",
]

_cache = KernelCache()


def compile_host(kernel: Kernel, signature: Signature) -> HostCode:
    """Machine code of ``kernel`` for the host driver.

    Parameters
    ----------
    kernel
        Any kernel of this process; equal kernels (``Kernel.identity``) share their code.
    signature
        Of the call. Values of params are no part of it, so changing one never compiles.

    Returns
    -------
    HostCode
        Valid as long as it, or its ``owner``, is referenced.

    Raises
    ------
    CompileError
        The body was refused or its compiler failed; the message shows the user's line.
    DtypeMismatch
        A C++ kernel declares other dtypes.
    InvalidOption
        The signature does not fit the kernel's parameters.
    """
    key = digest(kernel.identity, repr(signature))
    binding = binding_of(kernel, signature)
    # A back end comes with its first kernel, and without its front end: what lies on disk needs
    # none, and both together took half of the time until a cell's first result.
    if kernel.language == "cpp":
        from gpures_lab.kernels.cpp import backend as cpp_backend

        return _cache.get(
            key,
            lambda: _disk_key("cpp", key, cpp_backend.versions(kernel)),
            partial(cpp_backend.build, kernel, binding.arrays, signature),
            _load_cpp,
        )
    from gpures_lab.kernels.host import backend as python_backend

    return _cache.get(
        key,
        lambda: _disk_key("python", key, python_backend.versions()),
        partial(python_backend.build, kernel, binding.arrays, signature),
        _load_python,
    )


def describe_device(kernel: Kernel, signature: Signature) -> HostCode:
    """Describe a version that only a device runs, as `compile_host` does one of the host's.

    Its address is 0. Raises the same errors, but for what only a compiler finds.
    """
    from gpures_lab.kernels.cpp.declaration import CppBody
    from gpures_lab.kernels.cpp.subscripts import space_rule
    from gpures_lab.kernels.typed.kernel import compiled_arrays, type_kernel

    names = binding_of(kernel, signature).arrays
    if isinstance(kernel.definition, CppBody):
        positions, _ = compiled_arrays(signature)
        is_map, is_straight = kernel.definition.is_map, False
        rule = space_rule(kernel.definition.source, names, signature.inputs)
    else:
        typed = type_kernel(kernel, names, signature)
        positions, is_map, is_straight = typed.positions, typed.is_map, typed.is_straight
        rule = typed.space_rule
    return HostCode(
        address=0,
        owner=None,
        arrays=positions,
        indices=kernel.indices,
        is_map=is_map,
        is_straight=is_straight,
        is_reduction=kernel.kind == "reduction",
        may_fault=False,
        cache_hit=False,
        space_rule=rule,
    )


def cache_counters() -> CacheCounters:
    """Kernels compiled, found in memory, found on disk, since the process began."""
    return _cache.counters()


def forget_compiled() -> None:
    """Empty the memory cache; the disk cache stays."""
    _cache.clear()


def binding_of(kernel: Kernel, signature: Signature) -> Binding:
    """Which parameter each array and param of the signature is; it must name every param."""
    outputs = len(signature.arrays) - signature.inputs
    names = tuple(param.name for param in signature.params)
    binding = bind(kernel, signature.inputs, outputs, names)
    if names != binding.params:
        raise InvalidOption(
            f"kernel {kernel.name}: the signature lists params {names}, the kernel declares "
            f"{binding.params}; list all of them, in that order"
        )
    return binding


def _disk_key(language: str, key: str, versions: tuple[str, ...]) -> str:
    parts = (str(disk.FORMAT), language, key, processor(), front_end_digest(), *versions)
    return digest(*parts)


def _load_python(artifact: Artifact, _path: Path | None, from_disk: bool) -> HostCode | None:
    from gpures_lab.kernels.host.backend import load

    return load(artifact, from_disk=from_disk)


def _load_cpp(artifact: Artifact, path: Path | None, from_disk: bool) -> HostCode | None:
    from gpures_lab.kernels.cpp.backend import load

    return load(artifact, path, from_disk=from_disk)
