"""SHA-256 on another thread, while this one waits for the disk."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Final

from gpures_lab.grain.store.pace import FULL_SPEED, Pace

__all__ = ["Hashing"]

PART_BYTES: Final = 4 << 20


class Hashing:
    """The digest of bytes that may still be arriving.

    Parameters
    ----------
    header
        First bytes, there already.
    data
        The rest. ``arrive`` says how much of it is there; all of it unless ``arriving``.
    pace
        How fast to go.
    """

    def __init__(
        self,
        header: bytes | memoryview,
        data: memoryview,
        *,
        arriving: bool = False,
        pace: Pace = FULL_SPEED,
    ) -> None:
        self._pace = pace
        self._sum = hashlib.sha256(header)
        self._data = data
        self._there = 0 if arriving else data.nbytes
        self._changed = threading.Condition()
        self._given_up = False
        thread = threading.Thread(target=self._run, name="gpures-hash", daemon=True)
        self._join: Callable[[], None] = thread.join
        try:
            thread.start()
        except RuntimeError:  # the interpreter ends: no more threads
            self._join = self._run

    def arrive(self, there: int) -> None:
        """Say that the first ``there`` bytes of the data are there."""
        with self._changed:
            self._there = there
            self._changed.notify()

    def give_up(self) -> None:
        """End without a digest: the rest will not come."""
        with self._changed:
            self._given_up = True
            self._changed.notify()
        self._join()

    def hexdigest(self) -> str:
        """Wait, and return the digest of it all."""
        self._join()
        return self._sum.hexdigest()

    def _run(self) -> None:
        done = 0
        mark = self._pace.mark()
        while done < self._data.nbytes:
            with self._changed:
                self._changed.wait_for(lambda: self._there > done or self._given_up)  # noqa: B023
                there = self._there
                if self._given_up:
                    return
            while done < there:
                self._sum.update(self._data[done : min(there, done + PART_BYTES)])
                done = min(there, done + PART_BYTES)
                mark = self._pace.rest(mark)
