"""Pool utilization: bytes used, idle in the pool, and free up to its limit, stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.views.figures.axes import BYTES, time_figure, unit_axis
from gpures_lab.views.figures.legends import legend_beside

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["pool_figure"]


def pool_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; reads the columns ``used``, ``idle`` and ``free`` (hidden at first)."""
    made = time_figure(f"Memory pool on {driver}", palette)
    from bokeh.models import AdaptiveTicker

    *_, free = made.varea_stack(
        ["used", "idle", "free"],
        x="time",
        source=source,
        color=[palette.first, palette.second, palette.pale],
        legend_label=["used", "pooled, idle", "free (click)"],
    )
    # Free is mostly a hundred times the rest and would press it flat; a click brings it back.
    free.visible = False
    made.y_range.only_visible = True
    made.y_range.start = 0
    made.yaxis.ticker = AdaptiveTicker(base=1024, mantissas=[2**power for power in range(10)])
    unit_axis(made.yaxis, BYTES)
    legend_beside(made, palette)
    return made
