"""`kill -9` while a grain is checkpointed: the checkpoint is n or n + 1, whole, equal to a twin.

The killed process computes step after step and checkpoints each; it tells before and after each
save. Whoever restores is another process, with an empty kernel cache.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import gpures_lab as gl

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

__all__ = ["Kills", "kill_rounds"]

LIMIT_S = 60
LONGEST_SAVE_S = 0.2
SMALL, LARGE = 20_000, 200_000  # elements: below and above what is hashed while it is written


@dataclass
class Kills:
    """What was seen."""

    rounds: int = 0
    checkpoints: int = 0
    at_n: int = 0
    at_n_plus_1: int = 0
    wrong: int = 0


def step_of(grain: gl.Grain, n: int) -> None:
    """Take the grain from step n - 1 to n, by messages."""
    x, big, one = (grain.handles[name] for name in ("x", "big", "one"))
    one.write(n)
    grain.compute("kernels/Saxpy", inputs=[x, one], outputs=[x], params={"a": 0.5})
    big.write(n * 0.75)
    grain.state["n"] = n


class Twin:
    """The same in NumPy, every step recorded."""

    def __init__(self) -> None:
        self._x = [np.zeros(SMALL, np.float32)]

    def x(self, n: int) -> np.ndarray[Any, Any]:
        while len(self._x) <= n:
            self._x.append(self._x[-1] * np.float32(0.5) + np.float32(len(self._x)))
        return self._x[n]


def _manager(folder: str) -> gl.GrainManager:
    return gl.GrainManager(
        device="host",
        pool_limit_bytes=64 << 20,
        state_url=f"sqlite:///{folder}/state.sqlite",
        blobs_url=f"{folder}/blobs",
    )


def _victim(folder: str, tell: Connection) -> None:
    """Checkpoint until killed."""
    lab = _manager(folder)
    if lab._saver.store().latest("g") is None:
        grain = lab.grain("g")
        grain.allocate(SMALL, name="x")
        grain.allocate(SMALL, name="one")
        grain.allocate(LARGE, name="big", dtype=np.float64)
        n = 0
    else:
        grain = lab.restore("g")
        n = grain._etag or 0
    while True:
        n += 1
        step_of(grain, n)
        tell.send(("saves", n))
        if n % 5:
            grain.checkpoint().result(LIMIT_S)
        else:  # the other way to the store; one look at the grain brings it back
            grain.deactivate().result(LIMIT_S)
        assert grain._etag == n, (grain._etag, n)
        tell.send(("saved", n))


def kill_rounds(folder: Path, count: int, seed: int, ends_at: float = float("inf")) -> Kills:
    """Kill ``count`` times, fewer if ``time.monotonic()`` passes ``ends_at``; look each time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.soak.kills", "gpures_lab.grain.store.database"])
    draw = random.Random(seed)
    seen, twin = Kills(), Twin()
    before = 0
    while seen.rounds < count and time.monotonic() < ends_at:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_victim, args=(str(folder), theirs), daemon=True)
        child.start()
        theirs.close()
        told = {"saves": before, "saved": before}
        _listen(ours, told, until=before + draw.randint(1, 3))
        child.join(draw.uniform(0, LONGEST_SAVE_S))  # then it is anywhere in a save
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(LIMIT_S)
        _listen(ours, told, until=None)
        assert child.exitcode == -signal.SIGKILL, f"it ended by itself: {child.exitcode}"
        before = _look(folder, told, twin, seen)
        seen.rounds += 1
    seen.checkpoints = before
    return seen


def _listen(ours: Connection, told: dict[str, int], until: int | None) -> None:
    """Take what the child told: up to a number of saves begun, or all of it once it is dead."""
    try:
        while until is None or told["saves"] < until:
            if until is not None:
                assert ours.poll(LIMIT_S), f"the child says nothing since {told}"
            what, n = ours.recv()
            told[what] = n
    except EOFError:
        return


def _look(folder: Path, told: dict[str, int], twin: Twin, seen: Kills) -> int:
    """Restore as another process would, compare with the twin, compute on; the etag."""
    shutil.rmtree(os.environ.get("GPURES_CACHE_DIR", ""), ignore_errors=True)
    with _manager(str(folder)) as lab:
        if lab._saver.store().latest("g") is None:
            assert told["saved"] == 0, "an acknowledged checkpoint is gone"
            return 0
        grain = lab.restore("g")  # verifies every digest
        n = grain._etag or 0
        assert told["saved"] <= n <= told["saves"], (n, told)
        seen.at_n += n == told["saved"]
        seen.at_n_plus_1 += n == told["saved"] + 1
        x, big = (grain.handles[name].read().result(LIMIT_S) for name in ("x", "big"))
        right = (
            np.array_equal(x, twin.x(n))
            and bool((big == n * 0.75).all())
            and grain.state == {"n": n}
        )
        step_of(grain, n + 1)
        right &= np.array_equal(grain.handles["x"].read().result(LIMIT_S), twin.x(n + 1))
        seen.wrong += not right
        grain._etag = None  # nothing of this look is to be saved at the close
        grain.discard()
    return n
