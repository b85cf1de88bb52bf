"""What does another grain of the same ring feel while 100 MiB are checkpointed?

A thread pings all the time; its round trips are taken in turn without and with a checkpoint under
way. A ping that is due while one is waited for is not sent, so a long wait counts once.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np

import gpures_lab as gl
from tests.benchmarks.row import Row

__all__ = ["run"]

ELEMENTS = 25 << 20
ROUNDS = 8
WANTED = 2.0


def run() -> list[Row]:
    """Measure p99 round trips over equal times with and without a checkpoint."""
    quiet: list[float] = []
    busy: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        gl.GrainManager(
            device="host",
            pool_limit_bytes=1 << 30,
            state_url=f"sqlite:///{folder}/state.sqlite",
            blobs_url=f"{folder}/blobs",
        ) as lab,
    ):
        grain, other = lab.grain("saved"), lab.grain("other")
        x = grain.allocate(ELEMENTS, name="x")
        x.write(np.random.default_rng(1).random(ELEMENTS, dtype=np.float32)).result()
        grain.checkpoint().result()
        for n in range(ROUNDS):
            x.write([float(n)], offset=0).result()
            done = threading.Event()

            def save() -> None:
                grain.checkpoint().result()
                done.set()  # noqa: B023 - joined in this round

            thread = threading.Thread(target=save)
            begin = time.perf_counter()
            thread.start()
            _ping(other, busy, done.is_set)
            spent = time.perf_counter() - begin
            thread.join()
            end = time.perf_counter() + spent
            _ping(other, quiet, lambda: time.perf_counter() >= end)  # noqa: B023
        grain.discard()
    p99 = [float(np.percentile(each, 99)) * 1e6 for each in (quiet, busy)]
    ratio = p99[1] / p99[0]
    return [
        Row(
            what="another grain's p99 round trip while 100 MiB are checkpointed",
            measured=f"{p99[1]:.0f} us, {ratio:.2f} x that without ({p99[0]:.0f} us)",
            wanted=f"< {WANTED:g} x",
            met=ratio < WANTED,
            figures={
                "p99_quiet_us": p99[0],
                "p99_busy_us": p99[1],
                "max_busy_us": max(busy) * 1e6,
                "max_quiet_us": max(quiet) * 1e6,
                "pings_quiet": len(quiet),
                "pings_busy": len(busy),
            },
        )
    ]


def _ping(grain: gl.Grain, spans_s: list[float], ended: Callable[[], bool]) -> None:
    while not ended():
        begin = time.perf_counter()
        grain.ping().result()
        spans_s.append(time.perf_counter() - begin)
