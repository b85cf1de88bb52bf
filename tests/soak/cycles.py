"""Managers opened and closed: no thread, descriptor or memory stays behind."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import gpures_lab as gl

__all__ = ["Cycles", "cycles"]

LIMIT_S = 60
WARM_UP = 20


@dataclass
class Cycles:
    """What was left behind after the first few."""

    cycles: int = 0
    threads: int = 0
    descriptors: int = 0
    resident_bytes: int = 0


def _left() -> tuple[int, int, int]:
    threads = len(os.listdir("/proc/self/task"))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return threads, len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE")


def cycles(count: int, folder: Path) -> Cycles:
    """Open, use and close ``count`` managers; every tenth also checkpoints and deactivates."""
    before = (0, 0, 0)
    for n in range(count + WARM_UP):
        if n == WARM_UP:
            before = _left()
        with gl.GrainManager(
            device="host",
            pool_limit_bytes=1 << 20,
            idle_after_s=3600 if n % 7 == 0 else None,
            state_url=f"sqlite:///{folder}/state.sqlite",
            blobs_url=f"{folder}/blobs",
        ) as lab:
            grain = lab.grain("g")
            x = grain.allocate(1000, name="x")
            x.write(n)
            if n % 10 == 0:
                grain.checkpoint(replace=True).result(LIMIT_S)
                grain.deactivate().result(LIMIT_S)
            assert x.read().result(LIMIT_S)[-1] == n
            grain.discard()  # the end of a cycle saves nothing
            del grain, x
    after = _left()
    assert threading.active_count() >= 1
    return Cycles(count, *(now - then for now, then in zip(after, before, strict=True)))
