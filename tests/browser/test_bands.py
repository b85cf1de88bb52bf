"""The bands of the latency figure, in a page of their own: no JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gpures_lab.views.figures.latency import WITHOUT_GAPS, latency_figure
from gpures_lab.views.palette import palette_of
from gpures_lab.views.readings import COLUMNS
from tests.browser.pixels import pixels_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page."""
    made = browser.new_page(viewport={"width": 900, "height": 400})
    yield made
    made.close()


def outline(page: Page, time: list[float], low: list[Any], high: list[Any]) -> list[list[Any]]:
    """Return x, lower and upper edge as the page works them out."""
    found: list[list[Any]] = page.evaluate(
        """([code, data]) => {
          const run = new Function('column', 'lower', code);
          return ['time', 'low', 'high'].map(name => run.call({ data }, name, 'low'));
        }""",
        [WITHOUT_GAPS, {"time": time, "low": low, "high": high}],
    )
    return found


def test_a_band_ends_upright_and_begins_upright(page: Page) -> None:
    """Would catch: a wedge from the last measured tick to the first one after it."""
    found = outline(page, [0, 1, 2, 3, 4], [5, None, None, None, 6], [9, None, None, None, 8])
    assert found == [[0, 0, 0, 4, 4], [5, 5, 5, 6, 6], [9, 5, 5, 6, 8]]


def test_a_single_tick_without_messages_opens_the_band_later(page: Page) -> None:
    found = outline(page, [0, 1, 2, 3], [5, None, 6, 7], [9, None, 8, 9])
    assert found == [[0, 0, 2, 3], [5, 5, 6, 7], [9, 5, 6, 9]]


def test_what_was_measured_stays_as_it_is(page: Page) -> None:
    data = [[0, 1, 2], [5, 6, 7], [8, 9, 9]]
    assert outline(page, *data) == data


def test_nothing_is_drawn_over_time_without_messages(page: Page, tmp_path: Path) -> None:
    """Would catch: the same in Bokeh, whatever its way of drawing an area becomes."""
    from bokeh.embed import file_html
    from bokeh.models import ColumnDataSource
    from bokeh.resources import INLINE

    times = np.arange(60) * 1e3
    columns = {name: np.full(60, np.nan) for name in COLUMNS} | {"time": times}
    measured = (times < 20e3) | (times > 40e3)
    columns["service_p50"] = np.where(measured, 1e3, np.nan)
    columns["service_p99"] = np.where(measured, 1e6, np.nan)
    figure = latency_figure(ColumnDataSource(columns), palette_of("light"), "host (CPU threads)")
    path = tmp_path / "bands.html"
    path.write_text(file_html(figure, INLINE), encoding="utf-8")
    page.goto(path.as_uri())
    page.locator(".bk-Figure").wait_for()
    page.wait_for_function("() => Bokeh.documents[0].is_idle")
    frame = page.evaluate(
        """() => {
          const [view] = Bokeh.index.roots;
          const box = view.frame.bbox, at = view.el.getBoundingClientRect();
          return { x: at.x + box.x, y: at.y + box.y, width: box.width, height: box.height };
        }"""
    )
    image = pixels_of(page, frame)
    middle = np.median(image, axis=0)  # of each column: a grid line is thin, a band is not
    width = image.shape[1]
    band, gap = middle[width // 6], middle[width // 2]
    assert np.any(band != 255)
    assert np.all(gap == 255), gap
