"""The charts: Python's documents in a real page, over BokehJS of the kernel's version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.test_sidebar import BUSY, LOAD, gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.lab import Lab, NotebookPage

__all__ = ["gate"]

pytestmark = pytest.mark.usefixtures("extension")

ROWS = """
() => {
  const chart = window.jupyterapp.shell.widgets('main');
  for (const widget of chart) {
    if (widget.id === 'gpures-lab-chart-throughput') return widget.drawn?.source.get_length() ?? 0;
  }
  return 0;
}
"""
DREW = """
() => {
  const find = node => {
    for (const each of node.querySelectorAll('*')) {
      if (each instanceof HTMLCanvasElement && each.width > 200) return each;
      const inner = each.shadowRoot && find(each.shadowRoot);
      if (inner) return inner;
    }
    return null;
  };
  const plot = document.querySelector('#gpures-lab-chart-throughput .gpl-Chart-plot');
  const canvas = plot && find(plot);
  if (!canvas) return false;
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 200) colours.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
  }
  return colours.size > 3;
}
"""


def test_a_chart_draws_moves_in_a_busy_cell_pauses_and_catches_up(
    lab: Lab, notebook: Callable[..., NotebookPage], gate: Path, screenshots: Path
) -> None:
    """Would catch: BokehJS loaded before it is needed, a plot that stands still, a hole in it."""
    page = notebook(LOAD, BUSY.format(gate=str(gate)))
    page.run(0)
    page.command("gpures-lab:open-sidebar")
    page.page.locator(".gpl-Row:visible").first.wait_for()
    assert page.page.evaluate("() => window.Bokeh === undefined")
    page.start(1)
    page.command("gpures-lab:default-layout")
    page.poll(DREW)
    before = page.page.evaluate(ROWS)
    page.poll(f"before => ({ROWS})() > before", before)
    assert page.page.locator(".jp-InputPrompt").nth(1).inner_text() == "[*]:"
    chart = page.page.locator("#gpures-lab-chart-throughput")
    page.page.screenshot(path=screenshots / "charts-light.png")

    chart.get_by_role("button", name="Pause").click()
    held = page.page.evaluate(ROWS)
    at = page.page.evaluate("() => document.querySelector('.gpl-Tile dd').textContent")
    page.poll("at => document.querySelector('.gpl-Tile dd').textContent !== at", at)
    assert page.page.evaluate(ROWS) == held
    chart.get_by_role("button", name="Resume").click()
    page.poll(f"held => ({ROWS})() > held", held)

    page.theme("JupyterLab Dark")
    page.poll(DREW)
    page.page.screenshot(path=screenshots / "charts-dark.png")
    assert lab.errors == []


def test_the_layout_comes_back_after_a_reload(
    lab: Lab, notebook: Callable[..., NotebookPage]
) -> None:
    """Would catch: charts that are gone, or empty for ever, after a reload."""
    page = notebook(LOAD)
    page.run(0)
    page.command("gpures-lab:open-chart", figure="throughput")
    page.poll(DREW)
    page.command("docmanager:open", path=page.name)
    with page.page.expect_response(
        lambda answer: "/api/workspaces/" in answer.url and answer.request.method == "PUT"
    ):
        page.command("gpures-lab:open-sidebar")
    page.page.goto(page.page.url.split("?")[0])
    page.poll("() => document.querySelector('#gpures-lab-chart-throughput') !== null")
    page.poll(DREW)
    assert lab.errors == []


def test_the_kernels_own_bokehjs_where_the_server_has_another(
    lab: Lab, notebook: Callable[..., NotebookPage]
) -> None:
    """Would catch: no charts at all where Lab and kernel are two environments."""
    page = notebook(LOAD)
    asked: list[str] = []

    def refuse(route: object) -> None:
        asked.append("asked")
        route.fulfill(status=404, body="another version")

    page.page.route("**/gpures_lab/bokeh/**", refuse)
    page.run(0)
    page.command("gpures-lab:open-chart", figure="throughput")
    page.poll(DREW)
    assert asked == ["asked"]
    # The refused request is what the browser logs; nothing else may be.
    assert all("404" in each for each in lab.errors)


def test_the_timeline_shows_the_latest_messages(
    lab: Lab, notebook: Callable[..., NotebookPage], gate: Path, screenshots: Path
) -> None:
    """Would catch: a chart without lanes, because its data is no row of telemetry."""
    page = notebook(LOAD, BUSY.format(gate=str(gate)))
    page.run(0)
    page.command("gpures-lab:open-chart", figure="timeline")
    page.command("gpures-lab:open-chart", figure="latency")
    page.start(1)
    page.command("gpures-lab:open-chart", figure="timeline")
    page.poll(
        """() => {
          for (const each of window.jupyterapp.shell.widgets('main')) {
            if (each.id === 'gpures-lab-chart-timeline') {
              return each.drawn?.lanes?.factors.includes('grain 2') ?? false;
            }
          }
          return false;
        }"""
    )
    page.page.screenshot(path=screenshots / "timeline.png")
    page.command("gpures-lab:open-chart", figure="latency")
    page.poll(DREW.replace("throughput", "latency"))
    page.page.screenshot(path=screenshots / "latency.png")
    assert lab.errors == []


def test_without_a_kernel_it_says_so(lab: Lab, notebook: Callable[..., NotebookPage]) -> None:
    page = notebook("")
    page.command("gpures-lab:open-chart", figure="pool")
    said = page.page.locator("#gpures-lab-chart-pool [role=status]")
    assert "No grains in the active notebook" in said.inner_text()
    assert lab.errors == []
