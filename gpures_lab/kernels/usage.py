"""Which kernels this process has used, and how well their compiled versions were reused."""

from __future__ import annotations

from typing import NamedTuple

from gpures_lab._core import _native

__all__ = ["KernelCounts", "KernelUse", "kernel_counts", "kernels_used"]


class KernelCounts(NamedTuple):
    """All kernels together."""

    versions: int
    hits: int
    misses: int


class KernelUse(NamedTuple):
    """One kernel: its compiled versions, and calls that found one (hits) or made one (misses)."""

    name: str
    language: str
    versions: int
    hits: int
    misses: int


def kernel_counts() -> KernelCounts:
    """Count over all kernels; native counters, no Python per message."""
    return KernelCounts(*_native.kernel_counts())


def kernels_used() -> tuple[KernelUse, ...]:
    """List the kernels with at least one compiled version, most used first."""
    found = []
    for kernel in _native.kernels_used():
        counts = kernel._native_counts()
        found.append(
            KernelUse(
                kernel.name, kernel.language, counts["versions"], counts["hits"], counts["misses"]
            )
        )
    return tuple(sorted(found, key=lambda use: (-use.hits, use.name)))
