"""All figures over one source, in one Bokeh document, behind one lock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.errors import InvalidOption
from gpures_lab.views import figures
from gpures_lab.views.extra import require
from gpures_lab.views.palette import palette_of
from gpures_lab.views.readings import COLUMNS, GRAIN_COLUMNS, MOST_GRAINS

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        from bokeh.layouts import column, gridplot
        from bokeh.models import ColumnDataSource
        from bokeh.models.widgets import Div

        palette = palette_of(theme)
        self.theme = theme
        self.history = history
        self.lock = threading.RLock()
        self.source: Any = ColumnDataSource({name: [] for name in COLUMNS})
        self.grains_source: Any = ColumnDataSource({name: [] for name in GRAIN_COLUMNS})
        charts = [
            figures.pool_figure(self.source, palette, driver),
            figures.throughput_figure(self.source, palette, driver),
            figures.latency_figure(self.source, palette, driver),
            figures.queue_figure(self.source, palette, driver),
            figures.kernels_figure(self.source, palette, driver),
        ]
        self.caption: Any = Div(
            text="",
            styles={"color": f"var(--jp-content-font-color1, {palette.text})"},
        )
        self.table: Any = figures.grains_table(self.grains_source, palette)
        self._driver = driver
        cells = [*charts, column(self.caption, self.table, sizing_mode="stretch_width")]
        for chart in charts[1:]:  # one span of time: a zoom in one figure is a zoom in all
            chart.x_range = charts[0].x_range
        self.root: Any = gridplot(
            [cells[:2], cells[2:4], cells[4:]],
            sizing_mode="stretch_width",
            toolbar_location=None,
            merge_tools=False,
        )
        self.charts: tuple[Any, ...] = tuple(charts)

    def show(self, reading: Reading) -> None:
        """Add one tick to every figure, and replace the table if it changed."""
        self.show_all([reading])

    def show_all(self, readings: Sequence[Reading]) -> None:
        """Add several ticks in one message, oldest first."""
        if not readings:
            return
        columns = {name: [reading.row[name] for reading in readings] for name in COLUMNS}
        last = readings[-1]
        with self.lock:
            self.source.stream(columns, rollover=self.history)
            if dict(self.grains_source.data) != last.grains:
                self.grains_source.data = last.grains
            text = _caption(last.grain_count, self._driver)
            if self.caption.text != text:
                self.caption.text = text


def _caption(count: int, driver: str) -> str:
    # Numbers and the driver's own label: nothing a user wrote becomes HTML here.
    if count > MOST_GRAINS:
        return f"<b>Grains on {driver}</b>: the {MOST_GRAINS} busiest of {count:,}"
    return f"<b>Grains on {driver}</b>: {count:,}"
