"""The table of grains, busiest first, as HTML: the cell shows it, the report contains it."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Final

from gpures_lab.metrics.units import NOT_MEASURED, bytes_text, count_text, latency_text
from gpures_lab.views.readings import MOST_GRAINS

if TYPE_CHECKING:
    from gpures_lab.views.palette import Palette
    from gpures_lab.views.readings import Reading

__all__ = ["grains_html"]

# Column of the reading → its title and how a value reads.
_COLUMNS: Final = (
    ("messages", "messages", count_text),
    ("pending", "pending", count_text),
    ("failed", "failed", count_text),
    ("mean_us", "mean service", lambda value: latency_text(value * 1e3)),
    ("service_p50_us", "p50", lambda value: latency_text(value * 1e3)),
    ("service_p99_us", "p99", lambda value: latency_text(value * 1e3)),
    ("allocations", "allocations", count_text),
    ("bytes", "memory", bytes_text),
)
LONGEST_KEY: Final = 60


def grains_html(reading: Reading, driver: str, palette: Palette) -> str:
    """Return the table of a reading; keys are text, whatever they contain.

    Parameters
    ----------
    driver
        What the caption says the figures ran on.
    palette
        Colours where no JupyterLab gives its own.
    """
    text, grid = (
        f"var(--jp-content-font-color1,{palette.text})",
        f"var(--jp-border-color2,{palette.grid})",
    )
    cell = f'style="padding:2px 10px;border-bottom:1px solid {grid}'
    numbers = f'{cell};text-align:right;font-variant-numeric:tabular-nums"'
    head = f'<th {cell};text-align:left">grain</th>' + "".join(
        f"<th {numbers}>{title}</th>" for _, title, _ in _COLUMNS
    )
    rows = "".join(
        f'<tr><td {cell};text-align:left">{html.escape(_short(str(key)))}</td>'
        + "".join(
            f"<td {numbers}>{_value(reading.grains[name][number], show)}</td>"
            for name, _, show in _COLUMNS
        )
        + "</tr>"
        for number, key in enumerate(reading.grains["key"])
    )
    return (
        f'<div style="color:{text};max-height:260px;overflow:auto;font-size:12px">'
        f"<b>{_caption(reading.grain_count, driver)}</b>"
        f'<table style="border-collapse:collapse"><tr>{head}</tr>{rows}</table></div>'
    )


def _caption(count: int, driver: str) -> str:
    known = f"Grains on {html.escape(driver)}"
    if count > MOST_GRAINS:
        return f"{known}: the {MOST_GRAINS} busiest of {count_text(count)}"
    return f"{known}: {count_text(count)}"


def _value(value: object, show: object) -> str:
    if isinstance(value, float) and math.isnan(value):
        return NOT_MEASURED
    assert callable(show)
    return html.escape(str(show(value)))


def _short(key: str) -> str:
    return key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 1]}…"
