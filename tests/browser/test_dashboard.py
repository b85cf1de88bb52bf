"""The dashboard in JupyterLab, by the pixels that a person sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.browser.lab import LabNotebook

THROUGHPUT = 1  # place of the figure
SETUP = """%load_ext gpures_lab
import time
%grain_alloc x 1024 --fill 1
def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        x.write(1).result()
"""
DASHBOARD = "board = get_ipython().run_line_magic('grain_dashboard', '--rate 10')\nboard"
TITLES = """() => (window.Bokeh?.documents ?? [])
  .flatMap(each => [...each._all_models.values()])
  .filter(each => each.type === 'Title').map(each => each.text)"""


def figure(notebook: LabNotebook, number: int = THROUGHPUT) -> NDArray[np.uint8]:
    return notebook.pixels(notebook.page.locator(".bk-Figure").nth(number))


def until_drawn(notebook: LabNotebook, figures: int = 6) -> None:
    notebook.page.wait_for_function(
        f"() => (window.Bokeh?.documents ?? []).length > 0 && {figures} <= "
        "[...document.querySelectorAll('.jp-OutputArea-output')].length * 6"
    )
    notebook.page.locator(".bk-Figure").nth(figures - 1).wait_for()


def opened(notebook: LabNotebook, name: str, *more: str) -> LabNotebook:
    notebook.open(f"{name}.ipynb", [SETUP, DASHBOARD, *more])
    notebook.run(0)
    notebook.run(1)
    until_drawn(notebook)
    return notebook


def colours(image: NDArray[np.uint8]) -> int:
    return len(np.unique(image.reshape(-1, 3), axis=0))


def busy(notebook: LabNotebook) -> bool:
    found: bool = notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status"
        " === 'busy'"
    )
    return found


def test_it_draws_moves_during_a_busy_cell_and_stands_still_when_paused(
    notebook: LabNotebook,
) -> None:
    """Would catch: an empty plot, one that waits for the cell, and a test that sees movement
    in anything."""
    opened(notebook, "moves", "busy(20)", "board._controls.pause.value = True", "busy(20)")
    assert colours(figure(notebook)) > 10
    notebook.start(2)
    notebook.page.wait_for_timeout(2_000)
    first = figure(notebook)
    notebook.page.wait_for_timeout(1_000)
    second = figure(notebook)
    assert busy(notebook), "the cell ended before the second picture"
    notebook.save_screenshot("dashboard-busy")
    assert np.any(first != second)
    notebook.until_idle()

    notebook.run(3)
    notebook.start(4)
    notebook.page.wait_for_function(f"() => ({TITLES})().some(each => each.includes('stale'))")
    notebook.page.wait_for_timeout(500)
    first = figure(notebook)
    notebook.page.wait_for_timeout(1_500)
    second = figure(notebook)
    assert busy(notebook), "the cell ended before the second picture"
    assert np.count_nonzero(first != second) == 0
    assert notebook.errors == []


def test_the_notebook_keeps_a_few_lines_of_bokehjs_and_no_megabytes(
    notebook: LabNotebook,
) -> None:
    """Would catch: BokehJS saved with every cell that shows a dashboard."""
    opened(notebook, "small", DASHBOARD)
    notebook.page.wait_for_function(
        """() => JSON.stringify(
          window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.toJSON()
        ).length < 10_000"""
    )
    notebook.run(2)
    assert sum(len(str(each)) for each in notebook.outputs(2)) < 10_000
    until_drawn(notebook)
    assert notebook.errors == []


def test_a_page_that_is_loaded_again_has_the_curves_as_they_were(notebook: LabNotebook) -> None:
    """Would catch: a blank cell after a reload, or curves that start anew."""
    opened(notebook, "reload", "busy(4)", "board._controls.pause.value = True")
    notebook.run(2)
    notebook.run(3)
    before = notebook.page.evaluate(ROWS)
    notebook.reload()
    until_drawn(notebook)
    notebook.page.wait_for_function(f"() => ({ROWS})() >= {before}")
    assert colours(figure(notebook)) > 10
    notebook.save_screenshot("dashboard-reloaded")


ROWS = """() => Math.max(0, ...(window.Bokeh?.documents ?? [])
  .flatMap(each => [...each._all_models.values()])
  .filter(each => each.type === 'ColumnDataSource')
  .map(each => each.data.time?.length ?? 0))"""


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_background_is_the_themes(notebook: LabNotebook, theme: str) -> None:
    """Would catch: white figures on a dark page."""
    opened(notebook, f"theme-{theme}", "busy(3)")
    notebook.set_theme(f"JupyterLab {theme}")
    notebook.run(2)
    notebook.page.wait_for_timeout(500)
    notebook.save_screenshot(f"dashboard-{theme.lower()}")
    wanted = notebook.colour("--jp-layout-color0")
    for number in range(6):
        image = figure(notebook, number).reshape(-1, 3)
        assert np.all(np.abs(np.median(image, axis=0) - wanted) <= 8), number
    assert notebook.errors == []


def test_after_a_restart_it_says_since_when_it_is_stale(notebook: LabNotebook) -> None:
    """Would catch: the last numbers for ever, as if they were those of now."""
    opened(notebook, "restart", "busy(2)")
    notebook.run(2)
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    notebook.page.wait_for_function(
        f"() => ({TITLES})().every(each => / · stale since [0-9:]+$/.test(each))"
    )
    notebook.save_screenshot("dashboard-restarted")


@pytest.mark.parametrize("grains", [1, 500])
def test_any_number_of_grains(notebook: LabNotebook, grains: int) -> None:
    """Would catch: a table or a menu that makes the page slow, or runs off it."""
    opened(
        notebook,
        f"grains-{grains}",
        f"for n in range({grains} - 1):\n    gl_lab.grain(f'grain {{n}}').ping().result()",
        "import gpures_lab as gl\ngl_lab = gl.manager()",
    )
    notebook.run(3)
    notebook.run(2)
    notebook.page.get_by_text(f"{grains} grain").first.wait_for()
    notebook.page.wait_for_timeout(1_000)
    notebook.save_screenshot(f"dashboard-{grains}-grains")
    assert notebook.errors == []
