"""The latest messages, traced for as long as some front end looks at them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gpures_lab.views.timeline import MOST_MESSAGES, timeline_columns

if TYPE_CHECKING:
    from gpures_lab.grain import GrainManager
    from gpures_lab.metrics import Trace

__all__ = ["Tracing"]

LOOKED_AT_S: Final = 5.0


class Tracing:
    """Keeps a trace open while it is asked for: each message pays for one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._trace: Trace | None = None
        self._of: GrainManager | None = None
        self._asked_s = 0.0

    def ask(self, lab: GrainManager) -> dict[str, object]:
        """Return lanes and columns of the latest messages; the first call begins the trace."""
        with self._lock:
            if self._trace is None or self._of is not lab or self._trace.closed:
                self._end()
                # Not lab.trace(), which begins with what is still to come.
                self._trace = lab._recorder.start(MOST_MESSAGES, earlier=True)  # noqa: SLF001
                self._of = lab
            self._asked_s = self._clock()
            lanes, columns = timeline_columns(self._trace.messages(MOST_MESSAGES))
        return {"lanes": lanes, "columns": columns}

    def sweep(self) -> None:
        """End the trace if nobody has asked for some seconds."""
        with self._lock:
            if self._clock() - self._asked_s > LOOKED_AT_S:
                self._end()

    def close(self) -> None:
        """End the trace."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._trace is not None:
            self._trace.close()
        self._trace = self._of = None
