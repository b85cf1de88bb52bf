"""What all figures share: a transparent frame over time, and axes that print units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["BYTES", "HEIGHT", "NANOSECONDS", "TOOLS", "paint", "time_figure", "unit_axis"]

HEIGHT: Final = 220
TOOLS: Final = "xpan,xwheel_zoom,box_zoom,reset,save"

_SCALED: Final = """
let value = tick;
let unit = 0;
while (Math.abs(value) >= base && unit + 1 < units.length) { value /= base; unit += 1; }
return `${+value.toPrecision(3)} ${units[unit]}`;
"""

BYTES: Final = (1024, ("B", "KiB", "MiB", "GiB", "TiB"))
NANOSECONDS: Final = (1000, ("ns", "µs", "ms", "s"))


def time_figure(title: str, palette: Palette, **options: Any) -> Any:
    """Return an empty figure over time, in the colours of ``palette``."""
    from bokeh.models import DatetimeTicker
    from bokeh.plotting import figure

    made = figure(
        title=title,
        x_axis_type="datetime",
        height=HEIGHT,
        sizing_mode="stretch_width",
        tools=TOOLS,
        toolbar_location="right",
        output_backend="canvas",
        **options,
    )
    made.xaxis.ticker = DatetimeTicker(desired_num_ticks=3)  # five overlap in half a cell's width
    made.toolbar.logo = None
    made.toolbar.autohide = True  # six columns of buttons would be most of what one sees
    paint(made, palette)
    return made


def unit_axis(axis: Any, units: tuple[int, tuple[str, ...]]) -> None:
    """Print the ticks of ``axis`` in the largest unit that keeps them at least 1."""
    from bokeh.models import CustomJSTickFormatter

    base, names = units
    axis.formatter = CustomJSTickFormatter(code=_SCALED, args={"base": base, "units": list(names)})


def paint(made: Any, palette: Palette) -> None:
    """Give a figure, its axes and its legends the colours of ``palette``.

    The background stays transparent: the page shows through, whatever its theme's exact shade.
    """
    made.background_fill_alpha = 0
    made.border_fill_alpha = 0
    made.outline_line_color = palette.grid
    made.title.text_color = palette.text
    for axis in made.axis:
        axis.axis_label_text_color = palette.text
        axis.major_label_text_color = palette.text
        axis.axis_line_color = palette.grid
        axis.major_tick_line_color = palette.grid
        axis.minor_tick_line_color = None
    for grid in made.grid:
        grid.grid_line_color = palette.grid
    for legend in made.legend:
        legend.label_text_color = palette.text
        legend.background_fill_alpha = 0
        legend.border_line_alpha = 0
        legend.inactive_fill_alpha = 0
