"""The dashboard in JupyterLab, by the pixels that a person sees."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.browser.lab import Lab, Server
from tests.browser.pixels import STALE, colour, outputs, pixels, reload, scroll_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from playwright.sync_api import Browser

    from tests.browser.lab import NotebookPage

    Opener = Callable[..., NotebookPage]

FIGURES = 6
THROUGHPUT = 1  # place of the figure
SETUP = """%load_ext gpures_lab
import pathlib, time
import gpures_lab as gl
%grain_alloc x 1024 --fill 1
def busy_until(name):
    end = time.monotonic() + 300
    while not pathlib.Path(name).exists() and time.monotonic() < end:
        x.write(1).result()
def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        x.write(1).result()
"""
DASHBOARD = "board = get_ipython().run_line_magic('grain_dashboard', '--rate 10')\nboard"
ROWS = """() => Math.max(0, ...(window.Bokeh?.documents ?? [])
  .flatMap(each => [...each._all_models.values()])
  .filter(each => each.type === 'ColumnDataSource')
  .map(each => each.data.time?.length ?? each.data.get?.('time')?.length ?? 0))"""


# Of the newest update, in ms; the count of rows stands still once the history is full.
NEWEST = ROWS.replace(".length ??", ".at(-1) ??").replace("?.length", "?.at(-1)")

# Right end of the axis as it was drawn last, and the place of the plot, of the figure looked at.
VIEW = f"""[...Bokeh.index.roots].flatMap(each => [each, ...each.child_views ?? []])
  .flatMap(each => [each, ...each.child_views ?? []])
  .filter(each => each.model.type === 'Figure')[{THROUGHPUT}]"""
DRAWN = f"() => ({VIEW}).frame.x_range.end"
BOUNDS = f"""() => {{
  const {{ x, y, width, height }} = ({VIEW}).frame.bbox;
  return [x, y, width, height];
}}"""


def figure(notebook: NotebookPage, number: int = THROUGHPUT) -> NDArray[np.uint8]:
    return pixels(notebook, notebook.page.locator(".bk-Figure").nth(number))


def moved(notebook: NotebookPage) -> bool:
    """Whether the curves of a second later are drawn, in the same place: by the newest time that
    arrived, by the range that was drawn, and by the pixels.
    """
    for _ in range(10):
        newest, drawn = notebook.page.evaluate(NEWEST), notebook.page.evaluate(DRAWN)
        place, first = bounds(notebook), figure(notebook)
        notebook.poll(f"() => ({NEWEST})() >= {newest} + 1000 && ({DRAWN})() >= {drawn} + 1000")
        # A longer label on an axis makes the plot itself narrower: that is no curve that moved.
        if bounds(notebook) == place:
            return bool(np.any(figure(notebook) != first))
    raise AssertionError("the plot changed its size ten times")


def bounds(notebook: NotebookPage) -> list[float]:
    """Where the plot is within its figure, without its axes."""
    found: list[float] = notebook.page.evaluate(BOUNDS)
    return found


def until_drawn(notebook: NotebookPage) -> None:
    notebook.page.locator(".bk-Figure").nth(FIGURES - 1).wait_for()
    notebook.poll(f"() => ({ROWS})() > 1")


def opened(opener: Opener, *more: str) -> NotebookPage:
    notebook = opener(SETUP, DASHBOARD, *more)
    notebook.page.set_viewport_size({"width": 1400, "height": 1300})
    notebook.run(0)
    notebook.run(1)
    until_drawn(notebook)
    scroll_to(notebook, notebook.page.locator(".bk-GridPlot").first)
    return notebook


def colours(image: NDArray[np.uint8]) -> int:
    return len(np.unique(image.reshape(-1, 3), axis=0))


@contextmanager
def running_cell(notebook: NotebookPage, server: Server, cell: int, name: str) -> Iterator[None]:
    """Keep `busy_until` busy while the block looks."""
    state = "window.jupyterapp.shell.currentWidget.content.widgets[n].model.executionState"
    notebook.start(cell)
    notebook.poll(f"n => {state} === 'running'", cell)
    yield
    found = notebook.page.evaluate(f"n => {state}", cell)
    (server.notebooks / name).touch()
    assert found == "running", "the cell ended too early"
    notebook.poll(f"n => {state} !== 'running'", cell)


def test_it_moves_during_a_busy_cell_and_stands_still_when_paused(
    notebook: Opener, lab: Lab, server: Server, screenshots: Path
) -> None:
    """Would catch: an empty plot, one that waits for the cell, a test that sees movement in
    anything.
    """
    shown = opened(
        notebook,
        "busy_until('go')",
        "board._controls.pause.value = True",
        "busy_until('on')",
    )
    assert colours(figure(shown)) > 10
    with running_cell(shown, server, 2, "go"):
        assert moved(shown)
        shown.page.screenshot(path=screenshots / "dashboard-busy.png")

    shown.run(3)
    with running_cell(shown, server, 4, "on"):
        shown.poll(f"() => ({STALE})().length > 0")
        shown.page.wait_for_timeout(500)  # until that is drawn
        newest, first = shown.page.evaluate(NEWEST), figure(shown)
        shown.page.wait_for_timeout(1_500)  # fifteen updates, were there any
        assert shown.page.evaluate(NEWEST) == newest
        second = figure(shown)
    assert np.count_nonzero(first != second) == 0
    assert lab.errors == []


def test_a_notebook_keeps_a_few_lines_and_no_megabytes(notebook: Opener, lab: Lab) -> None:
    """Would catch: BokehJS saved with every cell that shows a dashboard."""
    shown = opened(notebook, DASHBOARD)
    shown.run(2)
    assert sum(len(str(each)) for cell in (1, 2) for each in outputs(shown, cell)) < 10_000
    assert lab.errors == []


def test_a_page_that_is_loaded_again_has_the_curves_as_they_were(
    notebook: Opener, screenshots: Path
) -> None:
    """Would catch: a blank cell after a reload, or curves that start anew."""
    shown = opened(notebook, "busy(2)")
    shown.run(2)
    before = shown.page.evaluate(ROWS)
    reload(shown)
    until_drawn(shown)
    shown.poll(f"() => ({ROWS})() >= {before}")
    assert colours(figure(shown)) > 10
    shown.page.screenshot(path=screenshots / "dashboard-reloaded.png")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_background_is_the_themes(
    notebook: Opener, lab: Lab, screenshots: Path, theme: str
) -> None:
    """Would catch: white figures on a dark page."""
    shown = opened(notebook, "busy(1)")
    shown.theme(f"JupyterLab {theme}")
    shown.run(2)
    scroll_to(shown, shown.page.locator(".bk-GridPlot").first)
    shown.page.wait_for_timeout(500)  # a frame in the new colours
    wanted = colour(shown, "--jp-layout-color0")
    other = 255.0 if theme == "Dark" else 17.0  # of the other theme's pages
    for number in range(FIGURES):
        image = figure(shown, number).reshape(-1, 3)
        assert np.all(np.abs(np.median(image, axis=0) - wanted) <= 8), number
        # Most of a figure lies around its plot: that of the plot itself shows here.
        assert np.mean(np.all(np.abs(image - other) <= 8, axis=1)) < 0.02, number
    shown.page.screenshot(path=screenshots / f"dashboard-{theme.lower()}.png")
    assert lab.errors == []


def test_after_a_restart_it_says_since_when_it_is_stale(
    notebook: Opener, screenshots: Path
) -> None:
    """Would catch: the last numbers for ever, as if they were those of now."""
    shown = opened(notebook)
    shown.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    shown.poll(f"() => ({STALE})().length === {FIGURES}")
    texts = shown.page.evaluate(STALE)
    assert len(set(texts)) == 1
    assert re.fullmatch(r"stale since \d\d:\d\d:\d\d", texts[0])
    shown.page.screenshot(path=screenshots / "dashboard-restarted.png")


@pytest.mark.parametrize("grains", [1, 500])
def test_any_number_of_grains(notebook: Opener, lab: Lab, screenshots: Path, grains: int) -> None:
    """Would catch: a table or a menu that makes the page slow, or runs off it."""
    shown = opened(
        notebook,
        f"for n in range({grains} - 1):\n    gl.manager().grain(f'grain {{n}}').ping().result()",
    )
    shown.run(2)
    shown.page.get_by_text("Grains on host (CPU threads)").first.wait_for()
    wanted = "1" if grains == 1 else f"the 50 busiest of {grains}"
    shown.page.get_by_text(f"Grains on host (CPU threads): {wanted}").first.wait_for()
    shown.page.screenshot(path=screenshots / f"dashboard-{grains}-grains.png", full_page=True)
    assert lab.errors == []


def test_a_server_without_the_extension_gets_bokehjs_once_and_says_so(
    browser: Browser, tmp_path: Path
) -> None:
    """Would catch: an empty cell where our server extension is not installed."""
    with Server(tmp_path / "plain", extension=False) as server, Lab(server, browser) as lab:
        shown = opened(lab.notebook, DASHBOARD)
        shown.page.get_by_text("BokehJS came from the kernel").wait_for()
        few = """n => JSON.stringify(window.jupyterapp.shell.currentWidget.content
          .widgets[n].model.outputs.toJSON()).length < 10_000"""
        shown.poll(few, 1)
        shown.run(2)
        assert shown.page.evaluate(few, 2)
        until_drawn(shown)
        assert [each for each in lab.errors if "/gpures_lab/bokeh/" not in each] == []
        reload(shown)
        until_drawn(shown)
