"""Grains worth many times the pool limit, used in turn; what each way out and back costs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

import gpures_lab as gl

__all__ = ["Swaps", "swaps"]

LIMIT_S = 60
LIMIT_BYTES = 16 << 20
GRAIN_BYTES = 2 << 20


@dataclass
class Swaps:
    """What was seen."""

    grains: int = 0
    grain_bytes: int = GRAIN_BYTES
    limit_bytes: int = LIMIT_BYTES
    uses: int = 0
    swaps: int = 0
    wrong: int = 0
    cost_per_swap_ms: float | None = None


def swaps(times_limit: int, uses: int, seed: int, ends_at: float = float("inf")) -> Swaps:
    """Use grains worth ``times_limit`` pools at random, and compare each with its twin."""
    draw = np.random.default_rng(seed)
    count = times_limit * LIMIT_BYTES // GRAIN_BYTES
    seen = Swaps(grains=count)
    with gl.GrainManager(device="host", pool_limit_bytes=LIMIT_BYTES) as lab:
        grains = [lab.grain(f"g{n}") for n in range(count)]
        halves = [
            [grain.allocate(GRAIN_BYTES // 8, name=name) for name in ("x", "y")] for grain in grains
        ]
        twin = np.zeros(count)
        spent_s = 0.0
        for n in [*range(count), *draw.integers(0, count, uses)]:
            if time.monotonic() >= ends_at:
                break
            x, y = halves[n]
            asleep = grains[n]._is_asleep()
            before = time.perf_counter()
            first = x.read(count=1).result(LIMIT_S)[0]
            if asleep:  # another one out, this one back
                seen.swaps += 1
                spent_s += time.perf_counter() - before
            seen.wrong += int(first != twin[n])
            twin[n] += 1
            x.write(twin[n])
            grains[n].compute("kernels/Copy", inputs=[x], outputs=[y])
            seen.uses += 1
        for n, (x, y) in enumerate(halves):
            same = np.array_equal(x.read().result(LIMIT_S), y.read().result(LIMIT_S))
            seen.wrong += not (same and bool(x.read(count=1).result(LIMIT_S)[0] == twin[n]))
        if seen.swaps:
            seen.cost_per_swap_ms = spent_s / seen.swaps * 1e3
        for grain in grains:
            grain.discard()
    return seen
