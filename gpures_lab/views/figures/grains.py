"""The table of grains, busiest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette

__all__ = ["grains_table", "table_css"]


def grains_table(source: Any, palette: Palette) -> Any:
    """Return the table; reads the columns of `GRAIN_COLUMNS`. Keys are shown as text, never HTML.

    The formatters are Bokeh's own: those that take a template would run what a key contains.
    """
    from bokeh.models import InlineStyleSheet
    from bokeh.models.widgets.tables import (
        DataTable,
        NumberFormatter,
        StringFormatter,
        TableColumn,
    )

    whole = NumberFormatter(format="0,0", text_align="right", nan_format="–")
    tenths = NumberFormatter(format="0,0.0", text_align="right", nan_format="–")
    columns = [
        TableColumn(field="key", title="grain", formatter=StringFormatter(), width=240),
        TableColumn(field="messages", title="messages", formatter=whole, width=100),
        TableColumn(field="pending", title="pending", formatter=whole, width=100),
        TableColumn(field="failed", title="failed", formatter=whole, width=100),
        TableColumn(field="mean_us", title="mean service, µs", formatter=tenths, width=100),
        TableColumn(field="allocations", title="allocations", formatter=whole, width=100),
        TableColumn(field="bytes", title="bytes", formatter=whole, width=100),
    ]
    return DataTable(
        source=source,
        columns=columns,
        height=220,
        sizing_mode="stretch_width",
        index_position=None,
        reorderable=False,
        stylesheets=[InlineStyleSheet(css=table_css(palette))],
    )


def table_css(palette: Palette) -> str:
    """Return the table's colours; inside JupyterLab its own variables win."""
    return f"""
.slick-header-columns, .slick-header-column, .slick-row, .slick-cell, .slick-viewport,
.slick-pane-header {{
  background: transparent !important;
  color: var(--jp-content-font-color1, {palette.text}) !important;
  border-color: var(--jp-border-color2, {palette.grid}) !important;
}}
.slick-row.odd .slick-cell {{
  background: color-mix(in srgb, {palette.grid} 35%, transparent) !important;
}}
"""
