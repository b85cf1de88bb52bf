"""One output that stays current: what `%grain_metrics --watch` shows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpures_lab.errors import InvalidOption, RingClosed
from gpures_lab.views.frontend import can_show_widgets
from gpures_lab.views.ticker import RATES_HZ, Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Watch"]


class Watch:
    """Shows a value, and shows it anew every ``period_s`` seconds, while other cells run.

    Raises
    ------
    InvalidOption
        The period is out of range, or outputs cannot be replaced here.
    """

    def __init__(self, read: Callable[[], object], *, period_s: float) -> None:
        least, most = 1 / RATES_HZ[1], 1 / RATES_HZ[0]
        if not isinstance(period_s, int | float) or not least <= period_s <= most:
            raise InvalidOption(
                f"watch={period_s!r} is out of range; give {least:g} to {most:g} seconds, "
                "or 0 to end it",
                period_s=period_s,
            )
        if not can_show_widgets():
            raise InvalidOption(
                "an output that stays current needs a notebook; here, print(lab.metrics())"
            )
        self._read = read
        self._display: Any = None
        self._stale = False
        self._ticker = Ticker(self._tick, rate_hz=1 / period_s, failed=self._tick_failed)

    def show(self) -> None:
        """Make the output, under the cell that runs."""
        from IPython.display import DisplayHandle

        self._display = DisplayHandle()  # type: ignore[no-untyped-call]
        self._display.display(self._read())
        self._ticker.start()

    def close(self) -> None:
        """Leave the output as it is. Harmless when repeated."""
        self._ticker.close()

    def _tick(self) -> bool:
        try:
            value = self._read()
        except RingClosed:
            self._say_stale("the manager was closed")
            return False
        self._display.update(value)
        self._stale = False
        return True

    def _tick_failed(self, error: Exception) -> None:
        if not self._stale:  # since then, not since now
            self._say_stale(f"{type(error).__name__}: {error}")

    def _say_stale(self, why: str) -> None:
        text = f"stale since {datetime.now().astimezone():%H:%M:%S}: {why}"
        self._display.update({"text/plain": text}, raw=True)
        self._stale = True
