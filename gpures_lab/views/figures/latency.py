"""Latency percentiles of the three stages of a message, over the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gpures_lab.metrics.snapshot import STAGES
from gpures_lab.views.figures.axes import NANOSECONDS, time_figure, unit_axis
from gpures_lab.views.figures.legends import legend_beside

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["latency_figure"]

DASHES: Final = {"p50": "solid", "p95": "dashed", "p99": "dotted"}


def latency_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; reads ``queue_p50`` to ``round_trip_p99``. The axis is logarithmic.

    A pale band goes from p50 to p99 of each stage.
    """
    made = time_figure(f"Latency on {driver}", palette, y_axis_type="log")
    colours = (palette.first, palette.second, palette.third)
    for stage, colour in zip(STAGES, colours, strict=True):
        name = stage.replace("_", " ")
        made.varea(
            "time",
            f"{stage}_p50",
            f"{stage}_p99",
            source=source,
            color=colour,
            alpha=0.12,
            legend_label=f"{name} p50",
        )
        for percentile, dash in DASHES.items():
            made.line(
                "time",
                f"{stage}_{percentile}",
                source=source,
                color=colour,
                line_dash=dash,
                legend_label=f"{name} {percentile}",
            )
    unit_axis(made.yaxis, NANOSECONDS)
    legend_beside(made, palette)
    return made
