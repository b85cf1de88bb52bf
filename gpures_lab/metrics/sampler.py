"""A thread that looks at the engine's counters now and then and keeps what it saw.

The counters are native and cost nothing per message; this thread costs one snapshot a period,
whatever the traffic. It starts with the first request for history, so a manager whose history
nobody asks for has no such thread.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from gpures_lab.errors import InvalidOption
from gpures_lab.metrics.resident_memory import ResidentMemoryMetrics, from_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gpures_lab.metrics.snapshot import Snapshot

__all__ = ["Sample", "Sampler"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The figures of one period: rate and percentiles cover the time since the sample before."""

    taken_at: datetime
    metrics: ResidentMemoryMetrics


class Sampler:
    """Keeps a bounded history of metrics.

    Parameters
    ----------
    snapshot
        Gives the engine's counters; called from the sampler's thread and from `history`.
    period_s
        Seconds between two snapshots.
    limit
        Samples kept; the oldest go first.
    clock
        What time it is, with a zone.
    wait
        Waits for up to so many seconds and says whether the sampler was closed meanwhile.
        Tests pass their own, so that no test sleeps.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        *,
        period_s: float = 0.25,
        limit: int = 2400,
        clock: Callable[[], datetime] | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        if not period_s > 0:
            raise InvalidOption(f"period_s={period_s!r} is out of range; give more than 0 seconds")
        if limit < 1:
            raise InvalidOption(f"limit={limit!r} is out of range; keep at least 1 sample")
        self._snapshot = snapshot
        self._period_s = period_s
        self._clock = clock or _utc_now
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._lock = threading.Lock()  # guards everything below
        self._samples: deque[Sample] = deque(maxlen=limit)
        self._previous: Snapshot | None = None
        self._failures = 0
        self._last_error: Exception | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread has been started and still runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def failures(self) -> int:
        """How many snapshots raised."""
        return self._failures

    @property
    def last_error(self) -> Exception | None:
        """What the last snapshot that failed raised; ``None`` if none did."""
        return self._last_error

    def history(self) -> tuple[Sample, ...]:
        """Everything kept, oldest first; the first call starts the thread.

        The first call also takes a sample itself, so the answer is not empty for want of time.
        After `close` it returns what was kept and starts nothing.
        """
        with self._lock:
            start = self._thread is None and not self._closed.is_set()
            if start:
                self._thread = threading.Thread(
                    target=self._run, name="gpures_lab sampler", daemon=True
                )
        if start and self._thread is not None:
            self._sample()
            self._thread.start()
        with self._lock:
            return tuple(self._samples)

    def close(self) -> None:
        """Stop the thread and wait for its end; the history stays. Closing again does nothing."""
        with self._lock:
            self._closed.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread() and thread.ident:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._wait(self._period_s) and not self._closed.is_set():
            self._sample()

    def _sample(self) -> None:
        try:
            snapshot = self._snapshot()
            with self._lock:
                metrics = from_snapshot(snapshot, self._previous)
                self._previous = snapshot
                self._samples.append(Sample(taken_at=self._clock(), metrics=metrics))
        except Exception as error:  # noqa: BLE001 - a thread that died would stop the dashboard
            # Kept and not printed: ipykernel would put it under whatever cell runs.
            with self._lock:
                self._failures += 1
                self._last_error = error


def _utc_now() -> datetime:
    return datetime.now(UTC)
