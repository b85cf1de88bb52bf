"""Pool utilization: bytes used, idle in the pool, and free up to its limit, stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.views.figures.axes import BYTES, time_figure, unit_axis
from gpures_lab.views.figures.legends import legend_beside

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["pool_figure"]


def pool_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; reads the columns ``used``, ``idle`` and ``free``."""
    made = time_figure(f"Memory pool on {driver}", palette)
    made.varea_stack(
        ["used", "idle", "free"],
        x="time",
        source=source,
        color=[palette.first, palette.second, palette.pale],
        legend_label=["used", "pooled, idle", "free"],
    )
    made.y_range.start = 0
    unit_axis(made.yaxis, BYTES)
    legend_beside(made, palette)
    return made
