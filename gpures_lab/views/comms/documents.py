"""The figures as documents that BokehJS draws: what Python builds, as JSON."""

from __future__ import annotations

import base64
import gzip
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.errors import InvalidOption
from gpures_lab.views import figures
from gpures_lab.views.extra import require
from gpures_lab.views.palette import palette_of
from gpures_lab.views.readings import COLUMNS
from gpures_lab.views.timeline import TIMELINE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIGURES", "LANES", "SOURCE", "bokehjs", "figure_document"]

SOURCE: Final = "gpures_lab.rows"
"""Name of the source in each document; the front end streams rows into it."""

LANES: Final = "gpures_lab.lanes"
"""Name of the timeline's range, whose factors the front end sets."""

FIGURES: Final[dict[str, Callable[..., Any]]] = {
    "pool": figures.pool_figure,
    "throughput": figures.throughput_figure,
    "latency": figures.latency_figure,
    "queue": figures.queue_figure,
    "kernels": figures.kernels_figure,
    "timeline": figures.timeline_figure,
}


def figure_document(name: str, *, theme: str, driver: str) -> dict[str, object]:
    """Return one figure's document, empty: the rows come from telemetry.

    Raises
    ------
    InvalidOption
        Unknown figure or theme.
    ModuleNotFoundError
        Bokeh is missing; the message names the extra.
    """
    if name not in FIGURES:
        raise InvalidOption(f"figure={name!r} is unknown; use one of {', '.join(FIGURES)}")
    palette = palette_of(theme)
    require("a chart", "bokeh")
    from bokeh.embed import json_item
    from bokeh.models import ColumnDataSource

    columns = TIMELINE_COLUMNS if name == "timeline" else COLUMNS
    source: Any = ColumnDataSource({column: [] for column in columns}, name=SOURCE)
    figure = FIGURES[name](source, palette, driver)
    if name == "timeline":
        figure.y_range.name = LANES
    figure.sizing_mode = "stretch_both"  # the panel's size, not a cell's
    return dict(json_item(figure))


@cache
def bokehjs() -> dict[str, object]:
    """Return the installed BokehJS, for a server that has none or another: base64 of gzip."""
    require("a chart", "bokeh")
    import bokeh
    from bokeh.util.paths import bokehjs_path

    text = (Path(bokehjs_path()) / "js" / "bokeh.min.js").read_bytes()
    packed = base64.b64encode(gzip.compress(text, 6, mtime=0)).decode()
    return {"version": bokeh.__version__, "gzip": packed}
