"""What does a grain cost over the same messages on one grain, in time and memory?

10,000 grains activated, written, computed and read in turn, against one grain that gets the same
messages. Memory: resident set before and after, without the grains' own data.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import gpures_lab as gl
from tests.benchmarks.row import Row

GRAINS = 10_000
SIZE = 64


def resident_bytes() -> int:
    """Resident set of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def one_round(grain: gl.Grain, value: float, result: np.ndarray) -> gl.ResidentArray:
    """Allocate, write, double, read."""
    x = grain.allocate(SIZE)
    grain.write(x, np.full(SIZE, value, np.float32))
    grain.compute("kernels/Add", inputs=[x, x], outputs=[x])
    grain.read(x, out=result)
    return x


def measure() -> dict[str, float]:
    """Measure both in turn, three times."""
    expected = 2 * np.arange(GRAINS, dtype=np.float32)[:, None] * np.ones(SIZE, np.float32)
    extra, memory = float("inf"), 0.0
    for _ in range(3):
        results = np.full((GRAINS, SIZE), np.nan, np.float32)
        with gl.GrainManager(device="host") as lab:
            only = lab.grain("only")
            one_round(only, 0.0, results[0])
            begin = time.perf_counter()
            kept = [one_round(only, float(n), results[n]) for n in range(GRAINS)]
            only.barrier().result()
            single = time.perf_counter() - begin
            assert np.array_equal(results, expected)
            kept.clear()
            only.barrier().result()
            # The blocks are resident and idle now, so what grows below is the grains.
            results.fill(np.nan)
            handles: list[gl.ResidentArray] = [None] * GRAINS  # type: ignore[list-item]
            keys = [f"grain-{n}" for n in range(GRAINS)]
            gc.collect()
            before = resident_bytes()
            begin = time.perf_counter()
            for n in range(GRAINS):
                handles[n] = one_round(lab.grain(keys[n]), float(n), results[n])
            only.barrier().result()
            many = time.perf_counter() - begin
            # The largest: later rounds reuse what the heap kept of earlier ones.
            memory = max(memory, (resident_bytes() - before) / GRAINS)
            assert np.array_equal(results, expected)
            extra = min(extra, (many - single) / GRAINS * 1e6)
            handles.clear()
    return {"extra_us_per_grain": extra, "host_bytes_per_grain": memory}


def run() -> list[Row]:
    """Measure in a process of its own: a heap that other suites left behind would hide growth."""
    output = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.ring.many_grains"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    figures = json.loads(output)
    extra, memory = figures["extra_us_per_grain"], figures["host_bytes_per_grain"]
    return [
        Row(
            what="10,000 grains in turn, over one grain with the same messages",
            measured=f"{extra:.2f} us and {memory:.0f} bytes a grain",
            wanted="<= 5 us and <= 1 KiB a grain",
            met=extra <= 5 and memory <= 1024,
            figures=figures,
        )
    ]


if __name__ == "__main__":
    print(json.dumps(measure()))
