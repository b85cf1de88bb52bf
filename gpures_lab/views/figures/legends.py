"""Where a legend goes: beside the figure, so that it covers no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.views.figures.axes import paint

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["legend_beside"]


def legend_beside(made: Any, palette: Palette) -> None:
    """Move the legend to the right of the figure; a click hides what it names."""
    (legend,) = made.legend
    made.add_layout(legend, "right")
    legend.click_policy = "hide"
    legend.label_text_font_size = "11px"
    legend.spacing = 1
    legend.padding = 0
    legend.glyph_height = legend.label_height = 14  # nine lines fit beside the figure
    paint(made, palette)
