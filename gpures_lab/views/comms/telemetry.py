"""Who listens, and the thread that tells them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.views.comms.commands import Commands
from gpures_lab.views.comms.protocol import RATES_HZ
from gpures_lab.views.comms.sampling import Sampling
from gpures_lab.views.comms.ticks import idle_frame, tick_frame
from gpures_lab.views.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Telemetry"]

DEFAULT_RATE_HZ: Final = 2.0
COST_SHARE: Final = 0.05
"""Share of its time that the thread may work: ten thousand grains slow it down, not the cells."""


@dataclass(slots=True)
class _Listener:
    comm: Any
    rate_hz: float
    due_s: float = 0.0


class Telemetry:
    """Sends the last look to each front end, at the rate that each asked for.

    The thread lives while somebody listens. One that raises loses its comm, not the others theirs.
    """

    def __init__(self, sampling: Sampling, clock: Callable[[], float] = time.monotonic) -> None:
        self.sampling = sampling
        self.commands = Commands(self._hurry)
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._listeners: dict[str, _Listener] = {}
        self._ticker: Ticker | None = None
        self._sequence = 0

    @property
    def listeners(self) -> int:
        """How many front ends are told."""
        return len(self._listeners)

    def add(self, client: str, comm: Any, rate_hz: float = DEFAULT_RATE_HZ) -> None:
        """Tell ``client`` from now on; a second comm of the same client replaces its first."""
        with self._lock:
            self._listeners[client] = _Listener(comm, rate_hz)
            self._adapt()

    def remove(self, client: str, comm: Any = None) -> None:
        """Tell ``client`` no more; with ``comm``, only if that is still the comm it listens on."""
        with self._lock:
            found = self._listeners.get(client)
            if found is None or (comm is not None and found.comm is not comm):
                return
            del self._listeners[client]
            self._adapt()

    def configure(self, client: str, *, rate_hz: float | None, window_s: float | None) -> None:
        """Change one client's rate, or everybody's window: there is one sampler.

        Raises
        ------
        InvalidOption
            The window is out of range.
        """
        if window_s is not None:
            self.sampling.window_s = window_s
        with self._lock:
            found = self._listeners.get(client)
            if found is not None and rate_hz is not None:
                found.rate_hz = rate_hz
            self._adapt()

    def close(self) -> None:
        """Stop the thread and forget who listened; their comms are theirs to close."""
        with self._lock:
            self._listeners.clear()
            ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.close()
        self.sampling.tracing.close()

    def _adapt(self) -> None:
        rates = [each.rate_hz for each in self._listeners.values()]
        if not rates:
            if self._ticker is not None:
                self._ticker.stop()  # not close: that waits, and this may be a busy handler
                self.sampling.tracing.close()
                self._ticker = None
            return
        if self._ticker is None or not self._ticker.running:
            self._ticker = Ticker(self._tick, rate_hz=max(rates), name="gpures_lab telemetry")
            self._ticker.start()
        self._ticker.rate_hz = max(rates)

    def _hurry(self) -> None:
        """Send what has just ended now, and not at the next tick."""
        with self._lock:
            ticker = self._ticker
            for each in self._listeners.values():
                each.due_s = 0.0
        if ticker is not None:
            ticker.hurry()

    def _tick(self) -> bool:
        started = self._clock()
        with self._lock:
            if not self._listeners:
                return False
            # A tick may come a little early: a listener due within it is told now.
            soon = started + 0.5 / RATES_HZ[1]
            due = {who: each for who, each in self._listeners.items() if each.due_s <= soon}
            for each in due.values():
                each.due_s = started + 1 / each.rate_hz
            self._sequence += 1
            sequence = self._sequence
        if not due:
            return True
        look = self.sampling.take()
        outcomes = self.commands.recent()
        if look is None:
            frame = idle_frame(sequence, outcomes)
        else:
            frame = tick_frame(sequence, look, outcomes)
        for who, each in due.items():
            try:
                each.comm.send(frame)
            except Exception:  # noqa: BLE001 - a socket that is gone ends this listener alone
                self.remove(who, each.comm)
        cost_s = self._clock() - started
        with self._lock:
            for each in due.values():
                each.due_s = max(each.due_s, started + cost_s / COST_SHARE)
        return True
