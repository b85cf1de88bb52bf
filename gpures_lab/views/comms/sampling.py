"""What both comms show: the last look at whichever manager is open."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpures_lab.errors import RingClosed
from gpures_lab.grain import open_manager
from gpures_lab.views.comms.grain_rows import GrainRow, GrainRows
from gpures_lab.views.comms.protocol import plain
from gpures_lab.views.comms.tracing import Tracing
from gpures_lab.views.readings import Reader

if TYPE_CHECKING:
    from gpures_lab.grain import GrainManager
    from gpures_lab.metrics import ResidentMemoryMetrics

__all__ = ["HISTORY", "Look", "Sampling"]

HISTORY: Final = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One moment of a manager. Never changed, so a handler reads it without a lock."""

    lab: GrainManager
    driver: str
    device: str
    metrics: ResidentMemoryMetrics
    row: Mapping[str, float | None]
    grains: tuple[GrainRow, ...]


class Sampling:
    """Takes looks. `latest` and `history` may be read by any thread."""

    def __init__(self, window_s: float) -> None:
        self.latest: Look | None = None
        self.tracing = Tracing()
        self._window_s = window_s
        self._reader: Reader | None = None
        self._rows = GrainRows(window_s)
        self._lock = threading.Lock()  # guards the past, and what a look is made with
        self._past: deque[Mapping[str, float | None]] = deque(maxlen=HISTORY)

    @property
    def window_s(self) -> float:
        """Seconds that rates and percentiles cover."""
        return self._window_s

    @window_s.setter
    def window_s(self, value: float) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.window_s = value
            self._rows.window_s = value
            self._window_s = value

    def history(self) -> list[Mapping[str, float | None]]:
        """Return the rows of the last looks, oldest first."""
        with self._lock:
            return list(self._past)

    def take(self) -> Look | None:
        """Look now; None while no manager is open. Starts none."""
        lab = open_manager()
        self.tracing.sweep()
        with self._lock:
            if lab is None:
                self._forget()
                return None
            if self._reader is None or self._reader.lab is not lab:
                self._forget()
                self._reader = Reader(lab, window_s=self._window_s)
                self._rows = GrainRows(self._window_s)
            try:
                reading = self._reader.read(table=False)
                grains = self._rows.take(lab.grains, int(reading.metrics.uptime_s * 1e9))
            except RingClosed:  # closed between the two lines
                self._forget()
                return None
            row = {name: plain(value) for name, value in reading.row.items()}
            self._past.append(row)
            self.latest = Look(
                lab=lab,
                driver=lab.driver.label,
                device=lab.driver.device_name,
                metrics=reading.metrics,
                row=row,
                grains=grains,
            )
            return self.latest

    def _forget(self) -> None:
        """Drop what is of a manager that is gone; nothing here keeps one alive."""
        self.latest = self._reader = None
        self._past.clear()
