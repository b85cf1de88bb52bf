"""How fast is a checkpoint, and a restore?

The floor is the same bytes by safetensors itself: `save_file` and one fsync, `load_file`. Beyond
that a checkpoint reads the grain in ring order, hashes, and commits to a database; a restore
verifies, and writes the grain. Turn by turn in one process, so that noise meets all alike.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import gpures_lab as gl
from tests.benchmarks.row import Row

__all__ = ["run"]

ELEMENTS = 25 << 20  # 100 MiB of float32
REPEATS = 7
WANTED = 0.5


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def run() -> list[Row]:
    """Measure both ways, and check what came back."""
    data = np.random.default_rng(1).random(ELEMENTS, dtype=np.float32)
    save_s: list[float] = []
    keep_s: list[float] = []
    load_s: list[float] = []
    restore_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.safetensors"

        def save() -> None:
            # A new file each time, as a blob is: rewriting one recycles its pages, which can be
            # many times faster than taking fresh ones.
            save_file({"x": data}, plain)
            descriptor = os.open(plain, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

        with gl.GrainManager(
            device="host",
            pool_limit_bytes=1 << 30,
            state_url=f"sqlite:///{folder}/state.sqlite",
            blobs_url=f"{folder}/blobs",
        ) as lab:
            grain = lab.grain("g")
            grain.allocate(ELEMENTS, name="x")
            for n in range(REPEATS + 1):
                data[0] = n  # new contents each time
                grain.handles["x"].write(data).result()
                lab._saver.store().prune()
                plain.unlink(missing_ok=True)
                spans = (_timed(save), _timed(lambda: grain.checkpoint().result()))
                if n:  # the first opens the store
                    save_s.append(spans[0])
                    keep_s.append(spans[1])
            for n in range(REPEATS + 1):
                loaded = _timed(lambda: load_file(plain))
                grain.discard()
                restored = _timed(lambda: lab.restore("g"))
                assert np.array_equal(grain.handles["x"].read().result(), data)
                if n:
                    load_s.append(loaded)
                    restore_s.append(restored)
            grain.discard()
    return [
        _row("checkpoint of 100 MiB", "save_file + fsync", keep_s, save_s),
        _row("restore of 100 MiB, digest verified", "load_file", restore_s, load_s),
    ]


def _row(what: str, rival: str, ours_s: list[float], theirs_s: list[float]) -> Row:
    ours, theirs = float(np.median(ours_s)), float(np.median(theirs_s))
    ratio = theirs / ours
    return Row(
        what=what,
        measured=f"{ours * 1e3:.0f} ms = {ratio:.2f} x the speed of {rival} "
        f"({theirs * 1e3:.0f} ms)",
        wanted=f">= {WANTED} x",
        met=ratio >= WANTED,
        winner=rival if ratio < 1 else "gpures_lab",
        factor=max(ratio, 1 / ratio),
        figures={"ours_s": ours_s, "theirs_s": theirs_s, "ratio_of_medians": ratio},
    )
