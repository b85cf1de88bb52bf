"""Compiled kernels of this process, over the disk cache: each is compiled once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gpures_lab.kernels.artifact import Artifact
from gpures_lab.kernels.disk import open_disk_cache
from gpures_lab.kernels.signature import HostCode

__all__ = ["CacheCounters", "KernelCache"]

LIMIT_KERNELS = 256


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """What the cache has done since the process began.

    Attributes
    ----------
    compiled
        Kernels that a compiler ran for.
    memory_hits, disk_hits
        Kernels found without one.
    kernels
        Held now.
    """

    compiled: int
    memory_hits: int
    disk_hits: int
    kernels: int


class KernelCache:
    """Kernels by key, least recently used first to go; several threads compile a key once."""

    def __init__(self, limit_kernels: int = LIMIT_KERNELS) -> None:
        self.limit_kernels = limit_kernels
        self._lock = threading.Lock()
        self._held: OrderedDict[str, HostCode] = OrderedDict()
        self._building: dict[str, threading.Lock] = {}
        self._compiled = 0
        self._memory_hits = 0
        self._disk_hits = 0

    def counters(self) -> CacheCounters:
        """A consistent copy of the counters."""
        with self._lock:
            return CacheCounters(
                self._compiled, self._memory_hits, self._disk_hits, len(self._held)
            )

    def clear(self) -> None:
        """Forget what is in memory; code in use stays alive through its ``HostCode``."""
        with self._lock:
            self._held.clear()

    def get(
        self,
        key: str,
        disk_key: Callable[[], str],
        build: Callable[[], Artifact],
        load: Callable[[Artifact, Path | None, bool], HostCode | None],
    ) -> HostCode:
        """The kernel of ``key``: from memory, from disk, or built.

        ``load`` makes an artifact (its path, and whether it came from disk) callable; it returns
        None for one from disk that cannot be used here.
        """
        found = self._find(key)
        if found is not None:
            return found
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        with building:
            found = self._find(key)
            if found is not None:
                return found
            try:
                code = self._from_disk_or_new(disk_key(), build, load)
            finally:  # a source that does not compile leaves nothing behind
                with self._lock:
                    self._building.pop(key, None)
            with self._lock:
                self._held[key] = code
                while len(self._held) > self.limit_kernels:
                    self._held.popitem(last=False)
            return code

    def _find(self, key: str) -> HostCode | None:
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                self._memory_hits += 1
                return replace(found, at_hand=True)
            return None

    def _from_disk_or_new(
        self,
        disk_key: str,
        build: Callable[[], Artifact],
        load: Callable[[Artifact, Path | None, bool], HostCode | None],
    ) -> HostCode:
        disk = open_disk_cache()
        entry = disk.read(disk_key) if disk is not None else None
        if entry is not None:
            code = load(entry[0], entry[1], True)
            if code is not None:
                with self._lock:
                    self._disk_hits += 1
                return code
        artifact = build()
        path = disk.write(disk_key, artifact) if disk is not None else None
        code = load(artifact, path, False)
        if code is None:
            raise AssertionError("code that was just compiled here cannot be loaded here")
        with self._lock:
            self._compiled += 1
        return code
