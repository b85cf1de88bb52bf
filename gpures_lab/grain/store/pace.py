"""Rests between the parts of a save, where it takes its cores from those who serve messages."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["FULL_SPEED", "Mark", "Pace"]

BUSY_THREADS: Final = 4
"""Who may be busy at once: one posts, one serves, one hashes, one writes."""
BUSY_MESSAGES_PER_S: Final = 1_000
"""With fewer, poster and worker sleep most of the time: their cores are free."""
RESTS: Final = 15
"""Times its own work that a save rests after each part. On two cores p99 of a grain that is pinged
all the time rose 60 x with none, 15 x with 3, 3 x with 15 for each of two threads; these share
one rest."""


@dataclass(frozen=True, slots=True)
class Mark:
    """When a part began: CPU time of its thread, and messages served so far."""

    cpu_s: float
    wall_s: float
    messages: int


class Pace:
    """How fast the threads of a save go together.

    On two cores a third busy thread pushes poster and worker onto one core, where each round trip
    waits for a change of threads: 0.3 us become 5 to 150. The scheduler leaves them there as long
    as the thread runs, whatever its priority; a rest brings them apart.

    Parameters
    ----------
    messages
        How many messages have been served; asked for after each part.
    cores
        How many there are; those of this process when None.
    sleep
        Waits so many seconds.
    """

    def __init__(
        self,
        messages: Callable[[], int],
        cores: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._messages = messages
        self._scarce = (_cores() if cores is None else cores) < BUSY_THREADS
        self._sleep = sleep
        self._one = threading.Lock()

    def mark(self) -> Mark:
        """Begin a part."""
        served = self._messages() if self._scarce else 0
        return Mark(time.thread_time(), time.perf_counter(), served)

    def rest(self, since: Mark) -> Mark:
        """End a part: rest if messages were served meanwhile. The next part's mark."""
        now = self.mark()
        served = now.messages - since.messages
        if served <= BUSY_MESSAGES_PER_S * (now.wall_s - since.wall_s):
            return now
        with self._one:  # one works while the other rests
            self._sleep(RESTS * (now.cpu_s - since.cpu_s))
        return self.mark()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


FULL_SPEED: Final = Pace(lambda: 0)
