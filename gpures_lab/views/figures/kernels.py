"""The kernel cache: compiled versions in memory, and the share of lookups it served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.views.figures.axes import time_figure
from gpures_lab.views.figures.legends import legend_beside

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["kernels_figure"]


def kernels_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; ``versions`` on the left axis, ``hit_rate`` on the right one."""
    from bokeh.models import AdaptiveTicker, DataRange1d, LinearAxis, NumeralTickFormatter, Range1d

    made = time_figure(f"Kernel cache on {driver}", palette)
    made.extra_y_ranges = {"share": Range1d(start=0, end=1.05)}
    share: Any = LinearAxis(y_range_name="share")
    share.formatter = NumeralTickFormatter(format="0 %")
    made.add_layout(share, "right")
    versions = made.step(
        "time", "versions", source=source, color=palette.first, mode="after", legend_label="kernels"
    )
    made.line(
        "time",
        "hit_rate",
        source=source,
        color=palette.second,
        y_range_name="share",
        legend_label="hit rate",
    )
    made.y_range = DataRange1d(start=0, renderers=[versions])
    made.yaxis[0].ticker = AdaptiveTicker(min_interval=1)  # there is no half kernel
    made.yaxis[0].formatter = NumeralTickFormatter(format="0,0")
    legend_beside(made, palette)
    return made
