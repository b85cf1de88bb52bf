"""Throughput and queue depth: of the device, and of the grain that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.views.figures.axes import time_figure
from gpures_lab.views.figures.legends import legend_beside

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["queue_figure", "throughput_figure"]


def throughput_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; reads the columns ``rate`` and ``grain_rate``."""
    title = f"Throughput on {driver}, messages/s"
    return _two_lines(source, palette, title, "rate", "grain_rate")


def queue_figure(source: Any, palette: Palette, driver: str) -> Any:
    """Return the figure; reads the columns ``pending`` and ``grain_pending``."""
    title = f"Queue depth on {driver}, messages pending"
    return _two_lines(source, palette, title, "pending", "grain_pending")


def _two_lines(source: Any, palette: Palette, title: str, every: str, one: str) -> Any:
    from bokeh.models import NumeralTickFormatter

    made = time_figure(title, palette)
    made.line("time", every, source=source, color=palette.first, legend_label="all grains")
    made.line("time", one, source=source, color=palette.second, legend_label="the grain chosen")
    made.y_range.start = 0
    made.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    legend_beside(made, palette)
    return made
