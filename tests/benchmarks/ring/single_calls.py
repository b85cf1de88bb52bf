"""What does one call cost from Python, posted and waited for?

Floor: the native round trip. Rivals: NumPy for the arithmetic, a thread pool for the hand-over.
"""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

import gpures_lab as gl
from tests.benchmarks.build import native
from tests.benchmarks.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 1024
REPEATS = 7


def per_call_ns(
    call: Callable[[], object], count: int, last: Callable[[], object] = lambda: None
) -> float:
    """Mean of one call in a run of ``count``; ``last`` waits for their end, on the clock."""
    begin = time.perf_counter_ns()
    for _ in range(count):
        call()
    last()
    return (time.perf_counter_ns() - begin) / count


def p50_ns(call: Callable[[], object], count: int) -> float:
    """Median of single calls, the clock's own cost taken off."""
    spans = np.empty(count)
    empty = np.empty(count)
    for n in range(count):
        begin = time.perf_counter_ns()
        call()
        spans[n] = time.perf_counter_ns() - begin
        begin = time.perf_counter_ns()
        empty[n] = time.perf_counter_ns() - begin
    return float(np.median(spans) - np.median(empty))


def run() -> list[Row]:
    """Measure calls and rivals in turn; the best of the repeats of each."""
    program = native("ring")
    output = subprocess.run(
        [program, "--round-trip"], check=True, capture_output=True, text=True
    ).stdout
    floor = json.loads(output)["round_trip_p50_ns"]
    best: dict[str, float] = {}

    def keep(name: str, value: float) -> None:
        best[name] = min(best.get(name, value), value)

    with gl.GrainManager(device="host") as lab, ThreadPoolExecutor(1) as threads:
        grain = lab.grain("calls")
        x, y, z = (grain.allocate(SIZE) for _ in range(3))
        host_x, host_y = np.random.default_rng(1).random((2, SIZE), np.float32)
        host_z = np.empty(SIZE, np.float32)
        grain.write(x, host_x)
        grain.write(y, host_y).result()
        inputs, outputs, params = [x, y], [z], {"a": 0.5}

        def saxpy() -> object:
            return grain.compute("kernels/Saxpy", inputs=inputs, outputs=outputs, params=params)

        def all_answered() -> None:
            grain.barrier().result()

        def allocate_release() -> object:
            return grain.release(grain.allocate(SIZE))

        def numpy_saxpy() -> None:
            np.multiply(host_x, np.float32(0.5), out=host_z)
            np.add(host_z, host_y, out=host_z)

        for _ in range(REPEATS):
            grain.write(z, np.nan).result()
            keep("saxpy", per_call_ns(saxpy, 50_000, all_answered))
            keep("numpy", per_call_ns(numpy_saxpy, 50_000))
            assert np.array_equal(grain.read(z).result(), host_z)
            keep("allocate_release", per_call_ns(allocate_release, 50_000, all_answered))
            keep("ping", p50_ns(lambda: grain.ping().result(), 20_000))
            keep("thread", p50_ns(lambda: threads.submit(int).result(), 2_000))
    limit = 2.5 * floor + 1000
    share = best["saxpy"] / best["numpy"]
    return [
        Row(
            what="Noop post + wait from Python, p50",
            measured=f"{best['ping']:.0f} ns (native {floor:.0f} ns; ThreadPoolExecutor "
            f"{best['thread'] / 1e3:.1f} us = {best['thread'] / best['ping']:.0f} x)",
            wanted="<= 2.5 x native round trip + 1 us",
            met=best["ping"] <= limit,
            figures={"native_round_trip_p50_ns": floor, **best},
        ),
        Row(
            what="allocate + release from Python",
            measured=f"{best['allocate_release']:.0f} ns",
            wanted="<= 1 us",
            met=best["allocate_release"] <= 1000,
        ),
        Row(
            what="1,024-float saxpy through the ring, pipelined, per message",
            measured=f"{best['saxpy']:.0f} ns = {share:.2f} x NumPy {best['numpy']:.0f} ns",
            wanted="<= 0.8 x NumPy with out= (two calls), equal results",
            met=share <= 0.8,
        ),
    ]
