"""LTO-IR and cubins by key: in memory, then on disk, then built."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gpures_lab.kernels import disk
from gpures_lab.kernels.artifact import Artifact
from gpures_lab.kernels.cuda.headers import headers_digest
from gpures_lab.kernels.cuda.toolchain import toolchain_versions
from gpures_lab.kernels.identity import digest
from gpures_lab.kernels.machine_identity import front_end_digest

__all__ = ["cached", "device_key", "forget"]

_lock = threading.RLock()  # an image's build asks for its parts
_held: dict[str, Artifact] = {}
LIMIT_ARTIFACTS = 512  # a kernel is one or two, or three


def device_key(*parts: str) -> str:
    """Key of compiled device code: its source, our headers and front ends, the compilers."""
    fixed = (str(disk.FORMAT), "cuda", headers_digest(), front_end_digest(), *toolchain_versions())
    return digest(*fixed, *parts)


def cached(
    key: str, suffix: str, build: Callable[[], tuple[bytes, dict[str, Any]]]
) -> tuple[Artifact, bool]:
    """The artifact of ``key``, and whether it was found rather than built.

    ``build`` gives its bytes and what else must be known of it, as plain JSON values. Several
    threads compile one after the other: the compilers are not to be raced.
    """
    held = _held.get(key)  # one that is there must not wait for another that is being built
    if held is not None:
        return held, True
    with _lock:
        if key in _held:
            return _held[key], True
        store = disk.open_disk_cache()
        entry = store.read(key) if store is not None else None
        if entry is not None:
            return _keep(key, entry[0]), True
        payload, meta = build()
        artifact = Artifact(suffix, payload, meta)
        if store is not None:
            store.write(key, artifact)
        return _keep(key, artifact), False


def _keep(key: str, artifact: Artifact) -> Artifact:
    """Hold it; the one that was built longest ago goes, and is found on disk again."""
    while len(_held) >= LIMIT_ARTIFACTS:
        del _held[next(iter(_held))]
    _held[key] = artifact
    return artifact


def forget() -> None:
    """Empty the memory; what lies on disk stays."""
    with _lock:
        _held.clear()
