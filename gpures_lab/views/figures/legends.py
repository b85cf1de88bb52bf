"""Where a legend goes: beside the figure, so that it covers no data; and what it is drawn from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.views.figures.axes import paint

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["legend_beside"]

_LOOKS: Final = (
    "line_color",
    "line_alpha",
    "line_dash",
    "line_width",
    "fill_color",
    "fill_alpha",
)


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
    for item in legend.items:
        item.renderers = [_stand_in(made, renderer) for renderer in item.renderers]


def _stand_in(made: Any, renderer: Any) -> Any:
    """Return what looks like ``renderer``, draws nothing, and hides it when it is hidden.

    A legend draws itself anew at each change of whatever its items refer to, through however many
    steps, data included: with the curves in it, that was a third of all that a page did. So the
    callback finds the curve by its id; a reference would be one more such step.
    """
    from bokeh.models import ColumnDataSource, CustomJS
    from bokeh.models.renderers import GlyphRenderer

    looks = renderer.glyph.properties() & set(_LOOKS)
    glyph = type(renderer.glyph)(**{name: getattr(renderer.glyph, name) for name in looks})
    # One point that is nowhere: a legend draws no sample of what has none.
    nothing = {name: [math.nan] for name in glyph.dataspecs()}
    made_one = GlyphRenderer(
        data_source=ColumnDataSource(nothing), glyph=glyph, visible=renderer.visible
    )
    hide = "cb_obj.document.get_model_by_id(id).visible = cb_obj.visible"
    made_one.js_on_change("visible", CustomJS(code=hide, args={"id": renderer.id}))
    made.renderers.append(made_one)
    return made_one
