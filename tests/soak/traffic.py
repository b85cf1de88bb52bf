"""Random operations of four threads against a NumPy twin: nothing lost, doubled or wrong.

Each thread has a grain of its own, two of them on a ring of their own. Most messages add one to a
counter in the grain's memory, so one that is lost or run twice is seen where its data would not
show it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpures_lab as gl

__all__ = ["Traffic", "traffic"]

LIMIT_S = 60
ELEMENTS = 64
ARRAYS = 4
CHUNK = 2_000  # messages between two comparisons with the twin
BATCH = 200


@dataclass
class Traffic:
    """What was seen."""

    messages: int = 0
    wrong: int = 0
    lost_or_doubled: int = 0
    unanswered: int = 0


class _Pair:
    """A grain and its twin."""

    def __init__(self, grain: gl.Grain, seed: int) -> None:
        self.grain = grain
        self.draw = np.random.default_rng(seed)
        self.handles = [grain.allocate(ELEMENTS, dtype=np.uint32) for _ in range(ARRAYS)]
        self.twin = [np.zeros(ELEMENTS, np.uint32) for _ in range(ARRAYS)]
        self.counter = grain.allocate(ELEMENTS, dtype=np.float64)
        self.one = grain.allocate(ELEMENTS, dtype=np.float64)
        self.one.write(1)
        self.counted = 0
        self.posted = 7
        with grain.record() as self.count:
            grain.compute("kernels/Add", inputs=[self.counter, self.one], outputs=[self.counter])
        self.batch = gl.messages(BATCH, op="compute", kernel="kernels/Add")
        self.batch["handles"][:, :3] = [int(self.counter), int(self.one), int(self.counter)]

    def chunk(self, seen: Traffic) -> None:
        """Post some, wait, compare."""
        pending: list[tuple[gl.Completion[Any], np.ndarray[Any, Any]]] = []
        done = 0
        while done < CHUNK:
            done += self._post(pending)
        self.grain.barrier().result(LIMIT_S)
        done += 1
        for completion, expected in pending:
            if not completion.done():
                seen.unanswered += 1
            elif not np.array_equal(completion.result(LIMIT_S), expected):
                seen.wrong += 1
        for handle, twin in zip(self.handles, self.twin, strict=True):
            seen.wrong += not np.array_equal(handle.read().result(LIMIT_S), twin)
        total = self.counter.read().result(LIMIT_S)
        seen.lost_or_doubled += not bool((total == self.counted).all())
        self.posted += done + ARRAYS + 1
        # What the engine counted is what was posted.
        counted = self.grain._counts()
        seen.lost_or_doubled += counted["messages"] + counted["pending"] != self.posted
        seen.wrong += counted["failed"] != 0

    def _post(self, pending: list[tuple[gl.Completion[Any], np.ndarray[Any, Any]]]) -> int:
        draw, grain, handles, twin = self.draw, self.grain, self.handles, self.twin
        kind = draw.integers(8)
        a, b, c = draw.integers(ARRAYS, size=3)
        if kind == 0:
            value = np.uint32(draw.integers(1 << 32))
            handles[a].write(value)
            twin[a][:] = value
            return 1
        if kind == 1:
            first, count = int(draw.integers(ELEMENTS // 2)), int(draw.integers(1, ELEMENTS // 2))
            data = draw.integers(1 << 32, size=count, dtype=np.uint32)
            handles[a].write(data, offset=first)
            twin[a][first : first + count] = data
            return 1
        if kind == 2:
            pending.append((handles[a].read(), twin[a].copy()))
            return 1
        if kind == 3:
            grain.compute("kernels/Sub", inputs=[handles[a], handles[b]], outputs=[handles[c]])
            twin[c] = twin[a] - twin[b]
            return 1
        if kind == 4:
            # Replaced under the hands of whatever is queued.
            handles[a].release()
            handles[a] = grain.allocate(ELEMENTS, dtype=np.uint32)
            twin[a][:] = 0
            return 2
        if kind == 5:
            self.count.run(repeat=3)
            self.counted += 3
            return 1
        if kind == 6:
            grain.submit(self.batch)
            self.counted += BATCH
            return BATCH
        for _ in range(10):
            grain.compute("kernels/Add", inputs=[self.counter, self.one], outputs=[self.counter])
        self.counted += 10
        return 10


def traffic(messages: int, seed: int, ends_at: float = float("inf")) -> Traffic:
    """Post ``messages`` from four threads, fewer if ``time.monotonic()`` passes ``ends_at``."""
    with gl.GrainManager(
        device="host", pool_limit_bytes=16 << 20, full_wait_s=LIMIT_S, ring=gl.RingOptions(slots=64)
    ) as lab:
        pairs = [
            _Pair(lab.grain(f"g{n}", placement="dedicated" if n < 2 else "shared"), seed + n)
            for n in range(4)
        ]
        seen = [Traffic() for _ in pairs]
        failures: list[BaseException] = []

        def work(n: int) -> None:
            try:
                while pairs[n].posted < messages / 4 and time.monotonic() < ends_at:
                    pairs[n].chunk(seen[n])
            except BaseException as error:  # noqa: BLE001 - raised below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        total = Traffic(messages=sum(pair.posted for pair in pairs))
        for each in seen:
            total.wrong += each.wrong
            total.lost_or_doubled += each.lost_or_doubled
            total.unanswered += each.unanswered
        for pair in pairs:
            pair.grain.discard()
    return total
