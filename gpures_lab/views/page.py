"""All figures over one source, in one Bokeh document, behind one lock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.errors import InvalidOption
from gpures_lab.views import figures
from gpures_lab.views.extra import require
from gpures_lab.views.palette import palette_of
from gpures_lab.views.readings import COLUMNS
from gpures_lab.views.stale import say_when_stale
from gpures_lab.views.timeline import TIMELINE_COLUMNS, timeline_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpures_lab.metrics import TracedMessage
    from gpures_lab.views.readings import Reading

__all__ = ["Page"]

LONGEST_HISTORY: Final = 20_000


class Page:
    """The figures of one dashboard or report.

    Every tick is one `stream` of lists (three messages where arrays would be seven). One lock
    guards the document: two threads that patch one Bokeh document at once mis-frame its messages.

    Parameters
    ----------
    driver
        What the titles say the figures ran on: ``host (CPU threads)``.
    theme
        ``"auto"``, ``"light"`` or ``"dark"``.
    history
        Ticks kept; the oldest go first.

    Raises
    ------
    InvalidOption, ModuleNotFoundError
    """

    def __init__(self, driver: str, *, theme: str = "light", history: int = 600) -> None:
        require("a dashboard", "bokeh")
        if not 1 <= history <= LONGEST_HISTORY:
            raise InvalidOption(
                f"history={history!r} is out of range; keep 1 to {LONGEST_HISTORY:,} ticks",
                history=history,
            )
        from bokeh.layouts import gridplot
        from bokeh.models import ColumnDataSource

        palette = palette_of(theme)
        self.theme = theme
        self.history = history
        self.lock = threading.RLock()
        self.source: Any = ColumnDataSource({name: [] for name in COLUMNS})
        self.timeline: Any = ColumnDataSource({name: [] for name in TIMELINE_COLUMNS})
        charts = [
            figures.pool_figure(self.source, palette, driver),
            figures.throughput_figure(self.source, palette, driver),
            figures.latency_figure(self.source, palette, driver),
            figures.queue_figure(self.source, palette, driver),
            figures.kernels_figure(self.source, palette, driver),
        ]
        for chart in charts[1:]:  # one span of time: a zoom in one figure is a zoom in all
            chart.x_range = charts[0].x_range
        charts.append(figures.timeline_figure(self.timeline, palette, driver))
        self.root: Any = gridplot(
            [charts[:2], charts[2:4], charts[4:]],
            sizing_mode="stretch_width",
            toolbar_location=None,
            merge_tools=False,
        )
        self.charts: tuple[Any, ...] = tuple(charts)
        say_when_stale(self.source, charts, palette)

    def show(self, reading: Reading) -> None:
        """Add one tick to every figure."""
        self.show_all([reading])

    def show_all(self, readings: Sequence[Reading]) -> None:
        """Add several ticks in one message, oldest first."""
        if not readings:
            return
        columns = {name: [reading.row[name] for reading in readings] for name in COLUMNS}
        with self.lock:
            self.source.stream(columns, rollover=self.history)

    def show_messages(self, messages: Sequence[TracedMessage]) -> None:
        """Replace what the timeline shows, if that changed."""
        lanes, columns = timeline_columns(messages)
        with self.lock:
            if dict(self.timeline.data) != columns:
                self.charts[-1].y_range.factors = lanes[::-1]  # the busiest on top
                self.timeline.data = columns
