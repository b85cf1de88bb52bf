"""What does another grain of the same ring feel while 100 MiB are checkpointed?

A thread pings all the time; its round trips are taken in turn without and with a checkpoint under
way. A ping that is due while one is waited for is not sent, so a long wait counts once.

The floor: the same bytes copied, hashed and written by a thread that knows nothing of gpures_lab,
at its own speed, while the pings go on. Poster and worker fill two cores; whatever else runs takes
from them, so what the floor shows is not ours to avoid, only to spread.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import gpures_lab as gl
from tests.benchmarks.row import Row

__all__ = ["run"]

ELEMENTS = 25 << 20
ROUNDS = 8
WANTED = 2.0


def run() -> list[Row]:
    """Measure p99 round trips over equal times with and without a checkpoint, and the floor."""
    quiet: list[float] = []
    busy: list[float] = []
    floor: list[float] = []
    data = np.random.default_rng(1).random(ELEMENTS, dtype=np.float32)
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
        x.write(data).result()
        grain.checkpoint().result()
        plain = Path(folder) / "plain.safetensors"
        for n in range(ROUNDS):
            x.write([float(n)], offset=0).result()
            data[0] = n
            spent = _ping_during(other, busy, lambda: grain.checkpoint().result())
            _ping_for(other, quiet, spent)
            plain.unlink(missing_ok=True)  # a new file, as a blob is
            _ping_during(other, floor, lambda: _save_without_us(data, plain))
        grain.discard()
    p99 = {
        name: float(np.percentile(spans, 99)) * 1e6
        for name, spans in (("quiet", quiet), ("busy", busy), ("floor", floor))
    }
    ratio, floor_ratio = p99["busy"] / p99["quiet"], p99["floor"] / p99["quiet"]
    return [
        Row(
            what="another grain's p99 round trip while 100 MiB are checkpointed",
            measured=f"{p99['busy']:.2f} us, {ratio:.2f} x that without ({p99['quiet']:.2f} us)",
            wanted=f"< {WANTED:g} x",
            met=ratio < WANTED,
            figures={
                "p99_quiet_us": p99["quiet"],
                "p99_busy_us": p99["busy"],
                "max_busy_us": max(busy) * 1e6,
                "max_quiet_us": max(quiet) * 1e6,
                "pings_quiet": len(quiet),
                "pings_busy": len(busy),
            },
        ),
        Row(
            what="floor: the same while another thread copies, hashes and saves 100 MiB without us",
            measured=f"{p99['floor']:.2f} us, {floor_ratio:.2f} x",
            figures={
                "p99_floor_us": p99["floor"],
                "max_floor_us": max(floor) * 1e6,
                "pings_floor": len(floor),
            },
        ),
    ]


def _save_without_us(data: np.ndarray, path: Path) -> None:  # type: ignore[type-arg]
    copy = data.copy()
    hashlib.sha256(copy).hexdigest()
    save_file({"x": copy}, path)
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _ping_during(grain: gl.Grain, spans_s: list[float], work: Callable[[], object]) -> float:
    """Ping until the work, on another thread, is done; the seconds that it took."""
    done = threading.Event()

    def until_done() -> None:
        try:
            work()
        finally:
            done.set()

    thread = threading.Thread(target=until_done)
    begin = time.perf_counter()
    thread.start()
    _ping(grain, spans_s, done.is_set)
    spent = time.perf_counter() - begin
    thread.join()
    return spent


def _ping_for(grain: gl.Grain, spans_s: list[float], seconds: float) -> None:
    end = time.perf_counter() + seconds
    _ping(grain, spans_s, lambda: time.perf_counter() >= end)


def _ping(grain: gl.Grain, spans_s: list[float], ended: Callable[[], bool]) -> None:
    while not ended():
        begin = time.perf_counter()
        grain.ping().result()
        spans_s.append(time.perf_counter() - begin)
