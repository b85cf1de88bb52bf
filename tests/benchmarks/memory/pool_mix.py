"""Does the pool reuse memory under a mixed load, and evict the right blocks?

100,000 allocations, sizes log-uniform from 256 B to 4 MiB, limit 1.25 x the peak of what lives at
once. Lifetimes, in allocations, are Zipf with exponent 1.1 cut at 10,000: some thousand blocks
live at once. A second run with exponent 1.5 cut at 2,000 (some thirty live blocks, a live set that
varies by a factor of three) shows where a pool cannot be good. The victims are compared with an
``OrderedDict`` twin.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

import gpures_lab as gl
from gpures_lab._core import _native
from tests.benchmarks.row import Row

ALLOCATIONS = 100_000
LONGEST = 10_000


def schedule(exponent: float, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Sizes in bytes and lifetimes in allocations."""
    random = np.random.default_rng(42)
    sizes = np.exp(random.uniform(np.log(256), np.log(4 << 20), ALLOCATIONS)).astype(np.int64)
    lifetimes = np.minimum(random.zipf(exponent, ALLOCATIONS), longest)
    return sizes, lifetimes


def deaths(lifetimes: np.ndarray) -> list[list[int]]:
    """Which allocations end before allocation n."""
    ends: list[list[int]] = [[] for _ in range(ALLOCATIONS + LONGEST + 1)]
    for n, lifetime in enumerate(lifetimes.tolist()):
        ends[n + lifetime].append(n)
    return ends


def peak_bytes(sizes: np.ndarray, ends: list[list[int]]) -> int:
    """Largest sum of blocks that live at once."""
    blocks = [_native.class_bytes(size) for size in sizes.tolist()]
    live = peak = 0
    for n in range(ALLOCATIONS):
        live -= sum(blocks[dead] for dead in ends[n])
        live += blocks[n]
        peak = max(peak, live)
    return peak


class Twin:
    """Exact reuse of the newest idle block of a class; the longest idle block goes first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = self.idle = 0
        self.order: OrderedDict[int, int] = OrderedDict()  # block → bytes, by return
        self.victims: list[int] = []

    def rent(self, size: int, block: int) -> None:
        if block in self.order:
            self.idle -= self.order.pop(block)
        else:
            while self.used + self.idle + size > self.limit:
                victim, freed = self.order.popitem(last=False)
                self.idle -= freed
                self.victims.append(victim)
        self.used += size

    def give_back(self, size: int, block: int) -> None:
        self.order[block] = size
        self.used -= size
        self.idle += size


def play(exponent: float, longest: int) -> dict[str, object]:
    """Play a schedule on a manager and on the twin."""
    sizes, lifetimes = schedule(exponent, longest)
    ends = deaths(lifetimes)
    limit = peak_bytes(sizes, ends) * 5 // 4
    twin = Twin(limit)
    live: dict[int, gl.ResidentArray] = {}
    utilization = []
    victims: list[int] = []
    with gl.GrainManager(device="host", pool_limit_bytes=limit) as lab:
        lab._engine.record_evictions(True)
        grain = lab.grain("mix", dtype=np.uint8)
        for n, size in enumerate(sizes.tolist()):
            for dead in ends[n]:
                handle = live.pop(dead)
                twin.give_back(_native.class_bytes(handle.nbytes), _native.block_of(handle))
                grain.release(handle)
            live[n] = grain.allocate(size, zero=False)
            victims += lab._engine.take_evictions()
            twin.rent(_native.class_bytes(size), _native.block_of(live[n]))
            if n >= ALLOCATIONS // 10 and n % 100 == 0:
                utilization.append(lab.metrics().pool_utilization or 0.0)
        metrics = lab.metrics()
        live.clear()
    return {
        "hit_rate": metrics.pool_hit_rate or 0.0,
        "utilization_mean": float(np.mean(utilization)),
        "evictions": metrics.evictions,
        "victims_equal": victims == twin.victims,
        "limit_bytes": limit,
    }


def run() -> list[Row]:
    """Play both schedules."""
    rows = []
    for exponent, longest, judged in ((1.1, LONGEST, True), (1.5, 2_000, False)):
        found = play(exponent, longest)
        hits, mean = found["hit_rate"], found["utilization_mean"]
        good = hits >= 0.9 and mean >= 0.7 and found["evictions"] > 0  # type: ignore[operator]
        rows.append(
            Row(
                what=f"mixed run of 100,000 allocations, Zipf {exponent} cut at {longest:,}, "
                "limit 1.25 x peak",
                measured=f"hits {hits:.1%}, utilization {mean:.1%} (mean), "
                f"{found['evictions']:,} evictions, victims "
                f"{'equal' if found['victims_equal'] else 'DIFFER'}",
                wanted="hits >= 90 %, utilization >= 70 %, evictions > 0, victims as the twin's"
                if judged
                else "victims as the twin's",
                met=bool(found["victims_equal"]) and (good or not judged),
                figures=found,
            )
        )
    return rows
