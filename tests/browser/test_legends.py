"""The legends of the figures, in a page of their own: no JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpures_lab.views.figures import (
    kernels_figure,
    latency_figure,
    pool_figure,
    queue_figure,
    throughput_figure,
    timeline_figure,
)
from gpures_lab.views.palette import palette_of
from gpures_lab.views.readings import COLUMNS
from gpures_lab.views.timeline import TIMELINE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

FIND = """
  const [plot] = Bokeh.index.roots;
  const legend = [...plot.child_views ?? [], ...plot.renderer_views?.values() ?? []]
    .concat([...Bokeh.index.roots].flatMap(each => [...each.views?.all_views?.() ?? []]))
    .find(each => each.model.type === 'Legend');
  const models = [...Bokeh.documents[0]._all_models.values()];
  const source = models.find(each => each.name === 'rows');
  const curves = models.filter(each => each.type === 'GlyphRenderer')
    .filter(each => each.data_source === source);
"""


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Return what shows a figure of three ticks in a page; a log of its errors ends the test."""
    from bokeh.embed import file_html
    from bokeh.models import ColumnDataSource
    from bokeh.resources import INLINE

    page = browser.new_page(viewport={"width": 900, "height": 400})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.extend([said.text] * ("nonexistent" in said.text)))

    def show(figure: Callable[..., object], columns: tuple[str, ...] = COLUMNS) -> Page:
        source = ColumnDataSource({name: [1.0, 2.0, 3.0] for name in columns}, name="rows")
        path = tmp_path / "figure.html"
        html = file_html(figure(source, palette_of("light"), "host (CPU threads)"), INLINE)
        path.write_text(html, encoding="utf-8")
        page.goto(path.as_uri())
        page.locator(".bk-Figure").wait_for()
        page.wait_for_function("() => Bokeh.documents[0].is_idle")
        return page

    yield show
    page.close()
    assert errors == []


def test_a_tick_leaves_the_legend_as_it_is(shown: Callable[..., Page]) -> None:
    """Would catch: nine lines of a legend made anew, twice a curve, ten times a second."""
    page = shown(latency_figure)
    same = page.evaluate(
        f"""async () => {{
          {FIND}
          const before = legend.entries.map(each => each.el);
          const row = Object.fromEntries(Object.keys(source.data).map(name => [name, [4]]));
          source.stream(row);
          await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
          return [before.length, legend.entries.filter((each, n) => each.el === before[n]).length];
        }}"""
    )
    assert same == [9, 9]


@pytest.mark.parametrize(
    ("figure", "entries"), [(latency_figure, 9), (pool_figure, 3), (timeline_figure, 2)]
)
def test_each_line_of_a_legend_has_its_sample(
    shown: Callable[..., Page], figure: Callable[..., object], entries: int
) -> None:
    """Would catch: names without the colours that they name."""
    page = shown(figure, TIMELINE_COLUMNS if figure is timeline_figure else COLUMNS)
    drawn = page.evaluate(
        f"""() => {{
          {FIND}
          return legend.entries.map(({{ glyph }}) => {{
            const {{ width, height }} = glyph.canvas;
            const {{ data }} = glyph.canvas.getContext('2d').getImageData(0, 0, width, height);
            return data.some(each => each > 0);
          }});
        }}"""
    )
    assert drawn == [True] * entries


def test_a_click_hides_the_curve_and_its_band(shown: Callable[..., Page]) -> None:
    """Would catch: a legend that dims its line and leaves the curve where it was."""
    page = shown(latency_figure)
    hidden = f"() => {{ {FIND} return curves.filter(each => !each.visible).length; }}"
    assert page.evaluate(hidden) == 0
    page.get_by_text("queue p50").click()
    page.wait_for_function(f"() => ({hidden})() === 2")
    page.get_by_text("queue p50").click()
    page.wait_for_function(f"() => ({hidden})() === 0")


def test_what_is_hidden_at_first_comes_at_a_click(shown: Callable[..., Page]) -> None:
    page = shown(pool_figure)
    hidden = f"() => {{ {FIND} return curves.filter(each => !each.visible).length; }}"
    assert page.evaluate(hidden) == 1
    page.get_by_text("free (click)").click()
    page.wait_for_function(f"() => ({hidden})() === 0")


@pytest.mark.parametrize("figure", [kernels_figure, throughput_figure, queue_figure])
def test_a_legend_asks_for_no_column_that_is_not_there(
    shown: Callable[..., Page], figure: Callable[..., object]
) -> None:
    """Would catch: a line in the page's console for each glyph; the fixture looks at those."""
    assert shown(figure).locator(".bk-Figure").count() == 1


def test_so_does_that_of_the_timeline(shown: Callable[..., Page]) -> None:
    page = shown(timeline_figure, TIMELINE_COLUMNS)
    page.get_by_text("waiting").wait_for()
