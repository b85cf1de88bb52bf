"""A thread that does something at a rate, and can be told to stop, wait or go on."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Final

from gpures_lab.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RATES_HZ", "Ticker"]

RATES_HZ: Final = (0.1, 10.0)

_log = logging.getLogger("gpures_lab")


class Ticker:
    """Calls ``tick`` some times a second, until it returns False or `close` is called.

    Prints nothing, whatever happens: a notebook would show it under the newest cell. What a tick
    raises goes to ``failed``, and the next tick follows all the same.

    Raises
    ------
    InvalidOption
        The rate is outside `RATES_HZ`.
    """

    def __init__(
        self,
        tick: Callable[[], bool],
        *,
        rate_hz: float,
        failed: Callable[[Exception], None] | None = None,
        name: str = "gpures_lab dashboard",
    ) -> None:
        self._tick = tick
        self._failed = failed
        self._period_s = 0.0
        self.rate_hz = rate_hz
        self.paused = False
        self.last_error: Exception | None = None
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def rate_hz(self) -> float:
        """Ticks a second; a new rate holds from the next tick on."""
        return 1 / self._period_s

    @rate_hz.setter
    def rate_hz(self, value: float) -> None:
        least, most = RATES_HZ
        if not least <= value <= most:
            raise InvalidOption(
                f"rate_hz={value!r} is out of range; give {least} to {most:.0f} updates a second",
                rate_hz=value,
            )
        self._period_s = 1 / value

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def hurry(self) -> None:
        """Tick now; the next one follows a period later."""
        self._wake.set()

    def stop(self) -> None:
        """Let the thread end; without waiting, so that any thread may call it."""
        self._closed.set()
        self._wake.set()

    def close(self) -> None:
        """Stop the thread and wait for its end. Harmless when repeated."""
        self.stop()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._period_s)
            self._wake.clear()
            if self._closed.is_set():
                return
            if self.paused:
                continue
            try:
                if not self._tick():
                    return
            except Exception as error:  # noqa: BLE001 - one bad tick must not end the dashboard
                self._note(error)

    def _note(self, error: Exception) -> None:
        if str(error) != str(self.last_error):
            _log.info("%s: %s: %s", self._thread.name, type(error).__name__, error)
        self.last_error = error
        if self._failed is not None:
            # A comm may be what is broken.
            with contextlib.suppress(Exception):
                self._failed(error)
