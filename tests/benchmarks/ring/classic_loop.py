"""How many messages a second does the classic loop reach from Python, and are they all right?

10,000 x (allocate, write, VectorAdd, read into one poisoned array, release); the clock stops when
the last of the 50,000 completions is in; values are compared after it. Rival: the same arithmetic
in NumPy with fresh arrays.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.row import Row

ROUNDS = 10_000
SIZE = 1024
REPEATS = 7


def run() -> list[Row]:
    """Measure the loop and NumPy's, in turn."""
    data = np.random.default_rng(7).random((ROUNDS, SIZE), np.float32)
    ones = np.ones(SIZE, np.float32)
    results = np.empty((ROUNDS, SIZE), np.float32)
    best, rival = 0.0, 0.0
    with gl.GrainManager(device="host") as lab:
        grain = lab.grain("loop")
        one = grain.allocate(SIZE)
        grain.write(one, ones).result()
        for _ in range(REPEATS):
            results.fill(np.nan)
            begin = time.perf_counter()
            completions = classic(grain, one, data, results)
            for completion in completions[-5:]:
                completion.result()
            grain.barrier().result()
            spent = time.perf_counter() - begin
            assert all(completion.done() for completion in completions)
            assert np.array_equal(results, data + ones)
            best = max(best, 5 * ROUNDS / spent)

            begin = time.perf_counter()
            for row in range(ROUNDS):
                results[row] = data[row].copy() + ones
            rival = max(rival, ROUNDS / (time.perf_counter() - begin))
        metrics = lab.metrics()
    hits, cache = metrics.pool_hit_rate or 0.0, metrics.kernel_cache_hit_rate or 0.0
    return [
        Row(
            what="classic loop from Python, 50,000 messages",
            measured=f"{best / 1e6:.2f} M messages/s ({best / 5e3:.0f} k rounds/s; NumPy "
            f"{rival / 1e3:.0f} k), pool hits {hits:.2%}, kernel cache {cache:.2%}",
            wanted=">= 1 M messages/s, hits >= 99 %, cache >= 99 %, every value right",
            met=best >= 1e6 and hits >= 0.99 and cache >= 0.99,
            figures={
                "messages_per_s": best,
                "numpy_rounds_per_s": rival,
                "pool_hit_rate": hits,
                "kernel_cache_hit_rate": cache,
            },
        )
    ]


def classic(
    grain: gl.Grain, one: gl.ResidentArray, data: np.ndarray, results: np.ndarray
) -> list[gl.Completion[Any]]:
    """Post the loop's messages; waits for nothing."""
    kept: list[gl.Completion[Any]] = []
    for row in range(ROUNDS):
        x = grain.allocate(SIZE)
        kept.append(grain.write(x, data[row]))
        kept.append(grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x]))
        kept.append(grain.read(x, out=results[row]))
        kept.append(grain.release(x))
    return kept
