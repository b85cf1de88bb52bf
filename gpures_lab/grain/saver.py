"""The thread that hashes and writes checkpoints one after the other, and its store."""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from gpures_lab.errors import GpuResError
from gpures_lab.grain.store.pace import Pace
from gpures_lab.grain.store.places import is_there
from gpures_lab.grain.store.urls import check_urls

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpures_lab._core._native import Completion
    from gpures_lab.grain.grain import Grain
    from gpures_lab.grain.store import Manifest, StateStore

__all__ = ["Saver"]

PEEK_S = 1.0
MOST_FAILED = 64
LOOK_AGAIN_S = 0.0005
LONGEST_PAUSE_S = 0.02
WAITING_JOBS = 2
"""Copies of grains that may wait for the disk; a caller with one more waits for the first."""


class _Job(NamedTuple):
    promise: Completion[Any]
    work: Callable[[], object]
    ready: Callable[[], bool] | None


class Peek(NamedTuple):
    """What a look for a checkpoint has found, or why it could not look."""

    manifest: Manifest | None
    error: GpuResError | None = None


class Saver:
    """Runs jobs in the order in which they were given, on one thread that exists while needed.

    Parameters
    ----------
    state_url, blobs_url
        As `StateStore` takes them. Nothing is opened before the first use.
    messages
        How many messages the manager's engine has served.

    Raises
    ------
    InvalidOption
        A URL that nothing can be opened by, or what it needs is not installed.
    """

    def __init__(
        self, state_url: str | None, blobs_url: str | None, messages: Callable[[], int]
    ) -> None:
        check_urls(state_url, blobs_url)
        self._urls = (state_url, blobs_url)
        self.pace = Pace(messages)
        self._store: StateStore | None = None
        self._store_lock = threading.Lock()
        self.turn = threading.Lock()
        """Held from looking at a grain's etag to keeping the next one."""
        self._jobs: list[_Job] = []
        self._running = False
        self._failed: dict[int, tuple[str, str]] = {}
        self._changed = threading.Condition()
        self._peeking: threading.Thread | None = None

    @property
    def used(self) -> bool:
        """Whether anything was saved, restored or looked up."""
        return self._store is not None

    @staticmethod
    def prepare() -> None:
        """Import what saving needs: at exit, when a durable grain is saved, it is too late."""
        import fsspec.core
        import fsspec.implementations.local  # noqa: F401

        import gpures_lab.grain.store.database  # noqa: F401

    def store(self) -> StateStore:
        """Return the store, opened by the first call."""
        with self._store_lock:
            if self._store is None:
                from gpures_lab.grain.store import StateStore

                self._store = StateStore(*self._urls)
            return self._store

    def peek(self, key: str, *, make: bool = False) -> Peek | None:
        """Look for a checkpoint of the key, for a second at most; never raises.

        Parameters
        ----------
        make
            Whether the store is made if there is none.

        Returns
        -------
        Peek | None
            None while it cannot be known: this look, or an earlier one, has not come back.
        """
        found: list[Peek] = []

        def look() -> None:
            try:
                found.append(Peek(self.store().latest(key)))
            except GpuResError as error:
                found.append(Peek(None, error))

        if not make and not self.exists():
            return Peek(None)
        if self._peeking is not None and self._peeking.is_alive():
            return None
        self._peeking = threading.Thread(target=look, name="gpures-peek", daemon=True)
        self._peeking.start()
        self._peeking.join(PEEK_S)
        return found[0] if found else None

    def exists(self) -> bool:
        """Whether there may be a database: reading makes no file."""
        return self.used or is_there(self._urls[0])

    def room(self) -> None:
        """Return when another job may be given; Ctrl-C ends the wait."""
        with self._changed:
            self._changed.wait_for(
                lambda: sum(job.ready is None for job in self._jobs) < WAITING_JOBS
            )

    def give(
        self,
        promise: Completion[Any],
        work: Callable[[], object],
        ready: Callable[[], bool] | None = None,
    ) -> None:
        """Do the work after all earlier work, and answer the promise with what it returns.

        Work that has to be ``ready`` lets later work pass until it is.
        """
        with self._changed:
            self._jobs.append(_Job(promise, work, ready))
            if self._running:
                self._changed.notify_all()
                return
            self._running = True
        threading.Thread(target=self._run, name="gpures-saver", daemon=True).start()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.promise._settle(job.work(), False)
            except BaseException as error:  # noqa: BLE001 - raised by result()
                # Its frames hold copies of grains, and a promise in them would hold itself.
                _forget_frames(error)
                self._note(job.promise.request, error)
                job.promise._settle(error, True)
            if self._store is not None:
                self._store.tidy()
            with self._changed:
                self._jobs = [each for each in self._jobs if each is not job]
                del job
                self._changed.notify_all()

    def _next(self) -> _Job | None:
        """Wait for a job that is ready; None: there are no more, and this thread ends."""
        pause = LOOK_AGAIN_S
        while True:
            with self._changed:
                jobs = list(self._jobs)
                if not jobs:
                    self._running = False
                    self._changed.notify_all()
                    return None
            for job in jobs:
                if job.ready is None or job.ready():
                    return job
            with self._changed:
                if len(self._jobs) == len(jobs):
                    self._changed.wait(pause)
            pause = min(pause * 1.2, LONGEST_PAUSE_S)

    def _note(self, request: int, error: BaseException) -> None:
        self._failed[request] = (type(error).__name__, str(error))
        if len(self._failed) > MOST_FAILED:
            del self._failed[next(iter(self._failed))]

    def failed(self, request: int) -> tuple[str, str]:
        """Say why a job failed that nobody looked at: kind of error, and its text."""
        return self._failed.get(request, ("GpuResError", "its cause was not kept"))

    def saved(self, grain: Grain) -> None:
        """Return when the checkpoints of a grain that were asked for before are kept."""
        with self._changed:
            self._changed.wait_for(lambda: not grain._saving or not self._running)

    def drain(self) -> None:
        """Return when every job has ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running)

    def close(self) -> None:
        """Let every job end, and let go of the store."""
        self.drain()
        with self._store_lock:
            if self._store is not None:
                self._store.close()
                self._store = None


def _forget_frames(error: BaseException | None) -> None:
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
