"""One self-contained HTML page: the tables, and Bokeh plots of what a table cannot show."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.latency import QUANTILES
from tests.benchmarks.row import Row
from tests.benchmarks.surroundings import text
from tests.benchmarks.table import KEPT, METHOD, not_measured

__all__ = ["write_html"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # safe for all eyes
WIDTH, HEIGHT = 760, 380
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; margin: 0 0 2em; font-size: 13px; }
th, td { border-bottom: 1px solid #8884; padding: .4em .6em; text-align: left; }
td { vertical-align: top; }
.no { color: #d55e00; font-weight: 600; }
.plot { background: #fff; border-radius: 6px; padding: 8px; margin: 0 0 1.5em; max-width: 780px; }
"""


def write_html(path: Path, results: dict[str, list[Row]], found: dict[str, Any]) -> None:
    """Write the page; it asks for nothing from a network."""
    from bokeh.embed import components
    from bokeh.resources import INLINE

    figures = list(_figures(results, found["driver"]))
    script, cards = components(tuple(figures)) if figures else ("", ())
    body = [f"<h1>gpures_lab: benchmarks</h1><p>{html.escape(text(found))}</p><p>{METHOD}</p>"]
    body += [f'<div class="plot">{card}</div>' for card in cards]
    for suite, rows in results.items():
        body.append(f"<h2>{html.escape(suite)}</h2>{_table(rows)}")
    missing = not_measured(results, found)
    if missing:
        listed = "; ".join(f"{name}: {why}" for name, why in missing.items())
        body.append(f"<p>Not measured: {html.escape(listed)}</p>")
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>gpures_lab: benchmarks</title><style>{STYLE}</style>{INLINE.render()}</head>"
        f"<body>{''.join(body)}{script}</body></html>"
    )
    path.write_text(page, encoding="utf-8")


def _table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        winner = "–" if row.winner is None else f"{row.winner}, {row.factor:.3g} ×"
        cells = (row.what, row.measured, winner, row.wanted or "–")
        kept = f'<td class="{"no" if row.met is False else ""}">{KEPT[row.met]}</td>'
        lines.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + kept + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("what", "measured", "winner", "wanted", "kept"))
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _figures(results: dict[str, list[Row]], driver: str) -> Iterator[Any]:
    for rows in results.values():
        for row in rows:
            if "latency" in row.figures:
                yield latency(row.what, row.figures["latency"], driver)
            if "quantiles_s" in row.figures:
                yield latency(row.what, {"gpures_lab": row.figures}, driver)
            if "curve" in row.figures:
                yield throughput(row.figures["curve"], driver)
            if "map" in row.figures:
                yield win_lose(row.figures["map"], driver)


def _figure(title: str, **options: Any) -> Any:
    from bokeh.plotting import figure

    plot = figure(title=title, width=WIDTH, height=HEIGHT, tools="pan,wheel_zoom,reset", **options)
    plot.toolbar.logo = None
    plot.title.text_font_size = "12px"
    return plot


def latency(what: str, kinds: dict[str, Any], driver: str) -> Any:
    """Distribution of round trips: the share that took longer, from all to one in ten thousand."""
    plot = _figure(
        f"{what} ({driver})",
        x_axis_type="log",
        y_axis_type="log",
        x_axis_label="round trip, µs",
        y_axis_label="share of round trips that took longer",
    )
    for colour, (name, found) in zip(COLOURS, kinds.items(), strict=False):
        spans = np.maximum(found["quantiles_s"], 1e-9) * 1e6
        plot.line(spans, 1 - QUANTILES, color=colour, line_width=2, legend_label=name)
    plot.legend.location, plot.legend.click_policy = "top_right", "hide"
    return plot


def throughput(curve: dict[str, Any], driver: str) -> Any:
    """Floats a second against size."""
    plot = _figure(
        f"z = x + y: throughput against size ({driver})",
        x_axis_type="log",
        y_axis_type="log",
        x_axis_label="floats a call",
        y_axis_label="floats a second",
    )
    for colour, (name, rates) in zip(COLOURS, curve["floats_per_s"].items(), strict=False):
        plot.line(curve["x"], rates, color=colour, line_width=2, legend_label=name)
        plot.scatter(curve["x"], rates, color=colour, size=6, legend_label=name)
    plot.legend.location = "bottom_right"
    return plot


def win_lose(cells: dict[str, Any], driver: str) -> Any:
    """Ratio of NumPy's time to the ring's: blue where the ring wins, orange where it loses."""
    from bokeh.models import ColorBar, LinearColorMapper
    from bokeh.palettes import Blues256, Oranges256, diverging_palette

    elements = [f"{n:,}" for n in cells["elements"]]
    lengths = [f"{n:,}" for n in cells["lengths"]]
    x, y, logs, labels = [], [], [], []
    for length, line in zip(lengths, cells["ratios"], strict=True):
        for size, ratio in zip(elements, line, strict=True):
            x.append(size)
            y.append(length)
            logs.append(float(np.log2(ratio)))
            labels.append(f"{ratio:.2g}")
    # White where the cell is dark.
    inks = ["white" if abs(each) > 0.6 * max(map(abs, logs)) else "black" for each in logs]
    palette = diverging_palette(Oranges256, Blues256, 256, 0.5)
    reach = max(1.0, *(abs(each) for each in logs))
    mapper = LinearColorMapper(palette=palette, low=-reach, high=reach)
    plot = _figure(
        f"x = a·x + b: NumPy's time over the ring's; above 1 the ring wins ({driver})",
        x_range=elements,
        y_range=lengths,
        x_axis_label="floats",
        y_axis_label="dependent steps",
    )
    source = {"x": x, "y": y, "log": logs, "label": labels, "ink": inks}
    plot.rect(
        "x",
        "y",
        1,
        1,
        source=source,
        line_color="white",
        fill_color={"field": "log", "transform": mapper},
    )
    plot.text(
        "x",
        "y",
        text="label",
        text_color="ink",
        source=source,
        text_align="center",
        text_baseline="middle",
        text_font_size="12px",
    )
    plot.add_layout(ColorBar(color_mapper=mapper, title="log2"), "right")
    plot.grid.visible = False
    return plot
