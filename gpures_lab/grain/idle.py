"""The thread that deactivates grains nobody talks to; it exists only with ``idle_after_s``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpures_lab.grain.residency import Residency

__all__ = ["IdleWatch"]

LOOKS = 4  # in each idle_after_s, so that a grain goes at most a quarter late


class IdleWatch:
    """Looks at the grains now and then until closed."""

    def __init__(self, residency: Residency, idle_after_s: float) -> None:
        self._residency = residency
        self._idle_after_s = idle_after_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gpures-idle", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._end.wait(self._idle_after_s / LOOKS):
            if self._residency.sweep(int(self._idle_after_s * 1e9)) is None:
                return

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()
