"""The dashboard of a notebook cell: controls, live figures, and the thread that moves them."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

from gpures_lab.errors import RingClosed
from gpures_lab.grain import GrainManager, manager
from gpures_lab.views.controls import Controls
from gpures_lab.views.embed import figures_widget
from gpures_lab.views.extra import require
from gpures_lab.views.frontend import can_show_widgets
from gpures_lab.views.grains import grains_html
from gpures_lab.views.page import Page
from gpures_lab.views.palette import palette_of
from gpures_lab.views.readings import Reader, Reading
from gpures_lab.views.report import save_report
from gpures_lab.views.runs import runs_html
from gpures_lab.views.showing import Showing
from gpures_lab.views.ticker import Ticker
from gpures_lab.views.timeline import MOST_MESSAGES

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Dashboard", "close_dashboard", "dashboard"]

TEXT_PERIOD_S = 0.5  # of table and timeline: nobody reads them faster, and they cost most


class Dashboard:
    """Live figures of a manager. Owns a thread and comms: close it, or use it with ``with``.

    The figures move while a cell runs, wherever that cell waits in native code. Buttons are
    handled when the running cell ends. After ``lab.close()`` it says since when it is stale.

    Parameters
    ----------
    lab
        Whose figures; `gl.manager()` when left out.
    window_s
        Rate and percentiles cover the last ``window_s`` seconds, 0.1 to 300.
    rate_hz
        Updates a second, 0.1 to 10.
    theme
        ``"auto"`` reads on light and dark pages alike; or ``"light"``, ``"dark"``.
    history
        Updates kept.

    Raises
    ------
    InvalidOption, RingClosed
    ModuleNotFoundError
        Bokeh, ipywidgets or jupyter_bokeh is missing; the message names the extra.
    """

    def __init__(
        self,
        lab: GrainManager | None = None,
        *,
        window_s: float = 5.0,
        rate_hz: float = 4.0,
        theme: str = "auto",
        history: int = 600,
    ) -> None:
        require("a dashboard", "bokeh", "ipywidgets", "jupyter_bokeh")
        self.lab = manager() if lab is None else lab
        self._reader = Reader(self.lab, window_s=window_s)
        self._ticker = Ticker(self._tick, rate_hz=rate_hz, failed=self._tick_failed)
        self._page = Page(self.lab.driver.label, theme=theme, history=history)
        self._palette = palette_of(theme)
        self._lock = threading.Lock()  # guards the reader and the readings
        self._readings: deque[Reading] = deque(maxlen=history)
        self._stale = False
        self._failure: Exception | None = None  # of the last tick
        self._shown_at = datetime.now(UTC)
        self._closed = False
        self._next_text_s = 0.0
        self._tick()
        if self._stale:
            raise RingClosed("this manager was closed; gl.manager() makes a new one", forked=False)
        import ipywidgets as widgets

        self._controls = Controls(
            window_s=window_s,
            rate_hz=rate_hz,
            choose_grain=self._choose_grain,
            choose_window=lambda value: setattr(self._reader, "window_s", value),
            choose_rate=lambda value: setattr(self._ticker, "rate_hz", value),
            pause=lambda value: setattr(self._ticker, "paused", value),
            park=self.lab.park,
            release=self._release,
        )
        self._trace = self.lab._recorder.start(MOST_MESSAGES, earlier=True)  # noqa: SLF001
        self._table: Any = widgets.HTML()
        self._showing = Showing(
            lambda: figures_widget(self._page), above=[self._controls.box], below=[self._table]
        )
        self._ticker.start()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def status(self) -> str:
        """One line: what is shown, of what, since when."""
        with self._lock:
            last = self._readings[-1] if self._readings else None
        if last is None:
            return f"nothing read from {self.lab.driver.label} yet"
        if self._stale or self._closed:
            return f"stale since {last.taken_at.astimezone():%H:%M:%S}"
        if self._failure is not None:
            return (
                f"stale since {self._shown_at.astimezone():%H:%M:%S}: "
                f"{type(self._failure).__name__}: {self._failure}"
            )
        return (
            f"{last.metrics.engine_state} on {self.lab.driver.label}, {_grains(last.grain_count)}"
        )

    def save(self, path: str | PathLike[str] = "report.html", *, theme: str = "light") -> Path:
        """Write what is shown to one self-contained HTML file, which does not move.

        Works after `close` and after ``lab.close()`` too. Returns the path.
        """
        with self._lock:
            readings = list(self._readings)
        messages = self._trace.messages(MOST_MESSAGES)
        return save_report(path, readings, self.lab.driver.label, messages=messages, theme=theme)

    def close(self) -> None:
        """Stop the thread and close the comms; what is on the page stays. Harmless if repeated."""
        if self._closed:
            return
        self._closed = True
        self._ticker.close()
        self._trace.close()
        self._showing.close()
        self._table.close()
        self._controls.close()

    def _tick(self) -> bool:
        texts = time.monotonic() >= self._next_text_s
        with self._lock:
            try:
                reading = self._reader.read(table=texts)
            except RingClosed:
                self._stale = True
            else:
                self._readings.append(reading)
        controls: Controls | None = getattr(self, "_controls", None)
        if self._stale:
            if controls is not None:
                controls.say(self.status)
                controls.disable()
            return False
        self._page.show(reading)
        self._failure, self._shown_at = None, reading.taken_at
        if controls is not None:
            controls.offer([str(key) for key in reading.grains["key"]], reading.grain_count)
            controls.say(self.status)
            self._showing.look()
            if texts:
                self._next_text_s = time.monotonic() + TEXT_PERIOD_S
                self._page.show_messages(self._trace.messages(MOST_MESSAGES))
                self._table.value = runs_html(reading.runs, self._palette) + grains_html(
                    reading, self.lab.driver.label, self._palette
                )
        return True

    def _tick_failed(self, error: Exception) -> None:
        self._failure = error
        self._controls.say(self.status)

    def _choose_grain(self, key: str) -> None:
        self._reader.grain = key or None

    def _release(self) -> None:
        grain = self.lab.grains.get(self._reader.grain or "")
        if grain is not None:
            grain.discard()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self._closed or not can_show_widgets():
            display({"text/plain": repr(self)}, raw=True)  # type: ignore[no-untyped-call]
            return
        self._showing.show(repr(self))

    def __repr__(self) -> str:
        if self._closed:
            return f"<Dashboard closed; {self.status}>"
        return (
            f"<Dashboard: {self.status}; live figures need a notebook that shows widgets "
            "(JupyterLab, Notebook 7); elsewhere use .save('report.html') or print(lab.metrics())>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _grains(count: int) -> str:
    return "1 grain" if count == 1 else f"{count:,} grains"


_open: WeakValueDictionary[int, Dashboard] = WeakValueDictionary()


def dashboard(
    lab: GrainManager | None = None,
    *,
    window_s: float = 5.0,
    rate_hz: float = 4.0,
    theme: str = "auto",
    history: int = 600,
) -> Dashboard:
    """Return live figures of ``lab``, and close those it replaces. See `Dashboard`.

    Raises
    ------
    InvalidOption, RingClosed, ModuleNotFoundError
        The one that was open stays open.
    """
    lab = manager() if lab is None else lab
    made = Dashboard(lab, window_s=window_s, rate_hz=rate_hz, theme=theme, history=history)
    close_dashboard(lab)
    _open[id(lab)] = made
    return made


def close_dashboard(lab: GrainManager) -> None:
    """Close the one that `dashboard` has open for a manager, if there is one."""
    before = _open.pop(id(lab), None)
    if before is not None:
        before.close()
