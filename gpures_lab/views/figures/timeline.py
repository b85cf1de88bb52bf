"""The latest messages over time: pale while they waited, solid while they were served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.views.figures.axes import HEIGHT, NANOSECONDS, TOOLS, paint, unit_axis
from gpures_lab.views.figures.legends import legend_beside

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["timeline_figure"]


def timeline_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; reads `TIMELINE_COLUMNS`. Its `y_range.factors` are the lanes."""
    from bokeh.models import BasicTicker, FactorRange, HoverTool
    from bokeh.plotting import figure

    made = figure(
        title=f"Latest messages on {driver}",
        y_range=FactorRange(factors=[]),
        height=HEIGHT,
        sizing_mode="stretch_width",
        tools=TOOLS,
        toolbar_location="right",
        output_backend="canvas",
    )
    made.toolbar.logo = None
    made.toolbar.autohide = True
    paint(made, palette)
    made.hbar(
        y="lane", left="posted", right="taken", height=0.25, source=source,
        color=palette.pale, legend_label="waiting",
    )  # fmt: skip
    served = made.hbar(
        y="lane", left="taken", right="done", height=0.6, source=source,
        color=palette.first, line_color=palette.first, legend_label="served",
    )  # fmt: skip
    # Kernels and states, no keys: what a tooltip shows becomes HTML.
    made.add_tools(
        HoverTool(
            renderers=[served],
            tooltips=[("", "@what"), ("waited", "@waited"), ("served", "@served"), ("", "@status")],
        )
    )
    unit_axis(made.xaxis, NANOSECONDS)
    made.xaxis.ticker = BasicTicker(desired_num_ticks=5)
    legend_beside(made, palette)
    return made
