"""Latency percentiles of the three stages of a message, over the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gpures_lab.metrics.snapshot import STAGES
from gpures_lab.views.figures.axes import NANOSECONDS, time_figure, unit_axis
from gpures_lab.views.figures.legends import legend_beside

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["WITHOUT_GAPS", "latency_figure"]

DASHES: Final = {"p50": "solid", "p95": "dashed", "p99": "dotted"}

# An area's outline skips a point that is NaN and goes on to the next: a band over the time in which
# nothing was measured. Here such a point lies on the last one before it, on its lower edge, and the
# last of a run of them on the next one after it: the band ends upright, and begins upright again.
# A single one cannot do both; there the band begins again without height.
WITHOUT_GAPS: Final = """
const lows = this.data[lower];
const values = Array.from(this.data[column]);
const edge = column === 'time' ? this.data[column] : lows;
const known = at => at >= 0 && at < lows.length && lows[at] !== null && !Number.isNaN(lows[at]);
let last = -1;
for (let at = 0; at < lows.length; at++) {
  if (known(at)) {
    if (last >= 0 && last === at - 2 && column !== 'time') { values[at] = lows[at]; }
    last = at;
    continue;
  }
  const from = known(at + 1) && last !== at - 1 ? at + 1 : last;
  values[at] = from < 0 ? NaN : edge[from];
}
return values;
"""


def latency_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; reads ``queue_p50`` to ``round_trip_p99``. The axis is logarithmic.

    A pale band goes from p50 to p99 of each stage, where messages were measured.
    """
    made = time_figure(f"Latency on {driver}", palette, y_axis_type="log")
    colours = (palette.first, palette.second, palette.third)
    for stage, colour in zip(STAGES, colours, strict=True):
        name = stage.replace("_", " ")
        lower = f"{stage}_p50"
        made.varea(
            _without_gaps("time", lower),
            _without_gaps(lower, lower),
            _without_gaps(f"{stage}_p99", lower),
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


def _without_gaps(column: str, lower: str) -> Any:
    from bokeh.core.properties import expr
    from bokeh.models import CustomJSExpr

    return expr(CustomJSExpr(code=WITHOUT_GAPS, args={"column": column, "lower": lower}))
