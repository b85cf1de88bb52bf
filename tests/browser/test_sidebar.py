"""The sidebar, the status bar and what they do, in a real page over a real kernel."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.lab import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.lab import Lab, NotebookPage

pytestmark = pytest.mark.usefixtures("extension")

LOAD = """
%load_ext gpures_lab
import gpures_lab as gl, pathlib, time
lab = gl.manager()
for n in range(3):
    g = lab.grain(f'grain {n}')
    x = g.allocate((8, n + 1), name='x')
    g.write(x, 1).result()
evil = lab.grain("<img src=x onerror=window.hacked=1>").allocate(4, name="b")
"""
# Ends when the file exists; bounded, so that a failed test leaves no busy kernel behind.
BUSY = """
gate, deadline = pathlib.Path({gate!r}), time.monotonic() + 90
while not gate.exists() and time.monotonic() < deadline:
    g.ping().result()
"""
LISTENERS = "from gpures_lab.magics import comms\nprint(comms._offer._made.telemetry.listeners)"

# Told by the kernel itself: opening the notebook again to ask would start a new sampler.
WATCH = """
import threading

def samplers():
    return [each for each in threading.enumerate() if each.name == "gpures_lab telemetry"]

def tell(ours, left):
    for each in ours:
        each.join()
    (unfinished := left.with_suffix(".part")).write_text(str(len(samplers())))
    unfinished.rename(left)

ours = samplers()
print(len(ours))
threading.Thread(target=tell, args=(ours, pathlib.Path({left!r})), daemon=True).start()
"""


@pytest.fixture
def gate(tmp_path: Path) -> Any:
    """A file that ends the busy cell; made in any case at the end."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def live(page: NotebookPage) -> None:
    """Open the sidebar and wait until it shows grains."""
    page.command("gpures-lab:open-sidebar")
    page.page.locator(".gpl-Row:visible").first.wait_for()


def keys(page: NotebookPage) -> list[str]:
    rows = page.page.locator('.gpl-Row[data-kind="grain"]:visible .gpl-Key')
    return sorted(rows.all_inner_texts())


def test_it_offers_the_first_cell_and_inserts_it(
    lab: Lab, notebook: Callable[..., NotebookPage]
) -> None:
    """Would catch: an empty panel in a kernel that never heard of us, or an error in its log."""
    page = notebook("")
    page.command("gpures-lab:open-sidebar")
    page.page.get_by_role("button", name="Insert this cell").click()
    source = page.source_of(0)
    assert source.startswith("%load_ext gpures_lab\n")
    assert source.endswith("\n%grain_alloc x --from px")
    assert "comm target" not in lab.server.log.read_text()
    assert lab.errors == []


def test_it_lists_the_grains_of_the_cell_and_their_handles_as_text(
    lab: Lab, notebook: Callable[..., NotebookPage], gate: Path, screenshots: Path
) -> None:
    """Would catch: a sidebar that stays empty until reload, and a key that becomes HTML."""
    page = notebook(LOAD, BUSY.format(gate=str(gate)))
    page.command("gpures-lab:open-sidebar")
    page.run(0)
    page.page.locator(".gpl-Row:visible").first.wait_for()
    evil = "<img src=x onerror=window.hacked=1>"
    assert keys(page) == [evil, "grain 0", "grain 1", "grain 2"]
    row = page.page.locator('.gpl-Row[data-kind="grain"]', has_text="grain 2")
    row.locator(".gpl-Twist").click()
    handle = page.page.locator('.gpl-Row[data-kind="handle"]:visible')
    handle.wait_for()
    assert handle.locator(".gpl-Key").inner_text() == "x  float32 (8, 3)"
    assert page.page.evaluate("() => window.hacked") is None
    # What the narrow list has no column for stands below the open grain.
    figures = page.page.locator('.gpl-Row[data-kind="figures"]:visible .gpl-Key')
    assert re.fullmatch(
        r"active · queue 0 · p50 (–|[\d.]+ \w+), p99 (–|[\d.]+ \w+) · ring 0", figures.inner_text()
    )
    assert row.locator(".gpl-Dot").get_attribute("aria-label") == "active"
    page.page.screenshot(path=screenshots / "sidebar-light.png")
    page.theme("JupyterLab Dark")
    page.page.screenshot(path=screenshots / "sidebar-dark.png")
    assert lab.errors == []


def test_it_moves_and_parks_while_a_cell_runs(
    lab: Lab, notebook: Callable[..., NotebookPage], gate: Path
) -> None:
    """Would catch: figures or buttons that wait for the cell; the second press as the first."""
    page = notebook(LOAD, BUSY.format(gate=str(gate)))
    page.run(0)
    live(page)
    page.start(1)
    page.wait_until_busy()
    rate = ".gpl-Tile:first-child dd"
    page.poll(f"() => !['0', '–'].includes(document.querySelector('{rate}').textContent)")
    before = page.page.locator(rate).inner_text()
    page.poll(f"before => document.querySelector('{rate}').textContent !== before", before)
    said = page.page.locator(".gpl-Said")
    for _ in range(2):
        page.page.evaluate("() => document.querySelector('.gpl-Said').textContent = ''")
        page.page.locator("[data-action=park]").click()
        page.poll("() => document.querySelector('.gpl-Said').textContent === 'park: parked'")
    assert page.page.locator(".jp-InputPrompt").nth(1).inner_text() == "[*]:"  # still busy
    assert said.inner_text() == "park: parked"
    status = page.page.locator(".gpl-Status").inner_text()
    assert "msg/s" in status
    assert lab.errors == []


def test_actions_on_a_grain_ask_first_and_say_what_they_did(
    lab: Lab, notebook: Callable[..., NotebookPage]
) -> None:
    """Would catch: a release at one press, or none at all."""
    page = notebook(LOAD, "g.handles")
    page.run(0)
    live(page)
    release = page.page.locator("[data-action=release]")
    assert release.is_disabled()
    page.page.locator('.gpl-Row[data-kind="grain"]', has_text="grain 2").click()
    release.click()
    page.page.get_by_role("button", name="Cancel").click()
    page.run(1)
    assert "x" in page.text_of(1)
    release.click()
    page.page.locator(".jp-Dialog").get_by_role("button", name="Release").click()
    page.poll(
        "() => document.querySelector('.gpl-Said').textContent.includes('1 allocation released')"
    )
    page.run(1)
    assert "{}" in page.text_of(1)
    page.page.locator("[data-action=checkpoint]").click()
    page.poll("() => document.querySelector('.gpl-Said').textContent.includes('checkpoint 1')")
    assert lab.errors == []


def test_the_keyboard_alone_is_enough(lab: Lab, notebook: Callable[..., NotebookPage]) -> None:
    """Would catch: a list that only a mouse can open."""
    page = notebook(LOAD)
    page.run(0)
    live(page)
    grid = page.page.get_by_role("treegrid", name="Grains")
    page.page.get_by_role("columnheader", name="grain").get_by_role("button").press("Enter")
    grid.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        grid.press(key)
    page.page.locator('.gpl-Row[data-kind="handle"]:visible').wait_for()
    selected = page.page.locator('.gpl-Row[aria-selected="true"]')
    assert selected.locator(".gpl-Key").inner_text() == "grain 0"
    handle = page.page.locator('.gpl-Row[data-kind="handle"]:visible')
    for key, state in (("ArrowLeft", "hidden"), ("Enter", "visible"), (" ", "hidden")):
        grid.press(key)
        handle.wait_for(state=state)
    page.page.get_by_label("Filter grains by key").fill("GRAIN 2")
    page.poll(
        "() => [...document.querySelectorAll('.gpl-Row')].filter(r => !r.hidden).length === 1"
    )
    assert keys(page) == ["grain 2"]
    assert lab.errors == []


def test_a_restart_is_told_with_what_it_cost(
    lab: Lab, notebook: Callable[..., NotebookPage], screenshots: Path
) -> None:
    """Would catch: the numbers of a process that is gone, shown as if they were live."""
    page = notebook(LOAD)
    page.run(0)
    live(page)
    page.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    banner = page.page.locator(".gpl-Banner")
    page.poll("() => document.querySelector('.gpl-Banner').textContent.includes('restarted at')")
    assert page.page.locator(".gpl-Row:visible").count() == 0
    page.page.screenshot(path=screenshots / "restarted.png")
    page.wait_until_idle()
    banner.get_by_role("button", name="Load gpures_lab").click()
    page.poll("() => document.querySelector('.gpl-Banner').hidden")
    page.page.locator(".gpl-Empty:visible").wait_for()  # loaded, nothing made yet
    assert lab.errors == []


def test_it_says_stale_since_when_the_sampler_dies(
    lab: Lab, notebook: Callable[..., NotebookPage], screenshots: Path
) -> None:
    """Would catch: the last number for ever. How soon it is said, `measure` prints."""
    page = notebook(
        LOAD,
        "from gpures_lab.magics import comms\ncomms._offer._made.telemetry._ticker.close()",
    )
    page.run(0)
    live(page)
    page.run(1)
    page.poll("() => document.querySelector('.gpl-Banner').textContent.includes('Stale since')")
    assert "Stale since" in page.page.locator(".gpl-Banner").inner_text()
    assert "stale since" in page.page.locator(".gpl-Status").inner_text()
    assert page.page.locator("[data-action=park]").is_disabled()
    page.page.screenshot(path=screenshots / "stale.png")
    page.page.get_by_role("button", name="Reconnect").click()
    page.poll("() => document.querySelector('.gpl-Banner').hidden")
    assert lab.errors == []


def test_a_kernel_that_dies_is_told_as_the_restart_that_follows(
    lab: Lab, notebook: Callable[..., NotebookPage]
) -> None:
    """Would catch: live numbers, or an empty panel, where everything resident has just gone."""
    page = notebook(LOAD, "import os\nos._exit(1)")
    page.run(0)
    live(page)
    page.start(1)
    page.poll("() => /restarted|died/.test(document.querySelector('.gpl-Banner').textContent)")
    page.page.get_by_role("button", name="Ok").click()  # JupyterLab's own word about it
    page.wait_until_idle()
    page.page.get_by_role("button", name="Load gpures_lab").click()
    page.page.locator(".gpl-Empty:visible").wait_for()


def test_a_closed_notebook_leaves_nothing_in_its_kernel(
    lab: Lab, notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    """Would catch: a sampler that goes on for a notebook that nobody has open."""
    left = tmp_path / "left"
    page = notebook(LOAD, WATCH.format(left=str(left)))
    page.run(0)
    live(page)
    page.run(1)
    assert page.text_of(1).strip() == "1"
    page.command("docmanager:save")
    page.command("application:close")
    page.page.locator(".gpl-Empty:visible").wait_for()
    assert "Open a notebook" in page.page.locator(".gpl-Empty").inner_text()
    deadline = time.monotonic() + LIMIT_S
    while not left.exists():
        assert time.monotonic() < deadline, "the sampler's thread goes on"
        page.page.wait_for_timeout(50)
    assert left.read_text() == "0"
    assert lab.errors == []


def test_two_notebooks_on_one_kernel(lab: Lab, notebook: Callable[..., NotebookPage]) -> None:
    """Would catch: an error, or silence, when the one that carries the comms is closed."""
    page = notebook(LOAD)
    page.run(0)
    live(page)
    other = lab.notebook_in(page, "")
    page.page.evaluate(
        """async name => {
          const all = [...window.jupyterapp.shell.widgets('main')];
          const first = all.find(each => each.context?.path === name);
          const second = window.jupyterapp.shell.currentWidget;
          const {id} = first.sessionContext.session.kernel;
          await second.sessionContext.changeKernel({id});
        }""",
        page.name,
    )
    other.wait_until_idle()
    page.page.locator(".gpl-Row:visible").first.wait_for()
    page.command("docmanager:open", path=page.name)
    page.command("docmanager:save")
    page.command("application:close")
    page.poll("() => document.querySelector('.gpl-Banner').textContent.includes('Reload the page')")
    assert lab.errors == []


def test_unloading_and_loading_again(lab: Lab, notebook: Callable[..., NotebookPage]) -> None:
    """Would catch: a sidebar that believes in a target that is gone, or misses its return."""
    page = notebook(LOAD, "%unload_ext gpures_lab", "%load_ext gpures_lab")
    page.run(0)
    live(page)
    page.run(1)
    page.page.locator(".gpl-Empty:visible").wait_for()
    page.run(2)
    page.page.locator(".gpl-Row:visible").first.wait_for()
    assert lab.errors == []


def test_a_reload_finds_the_kernel_again(lab: Lab, notebook: Callable[..., NotebookPage]) -> None:
    """Would catch: comms of the page before that keep the kernel's sampler for themselves."""
    page = notebook(LOAD, LISTENERS)
    page.run(0)
    live(page)
    page.page.reload()
    page.wait_until_idle()
    live(page)
    assert keys(page)[1:] == ["grain 0", "grain 1", "grain 2"]
    # The page before says goodbye; where its socket closed first, its lease ends.
    deadline = time.monotonic() + 2 * LIMIT_S
    page.run(1)
    while page.text_of(1).strip() != "1":
        assert time.monotonic() < deadline, page.text_of(1)
        page.page.wait_for_timeout(500)
        page.run(1)
    assert lab.errors == []


def test_two_browsers_on_one_kernel(lab: Lab, notebook: Callable[..., NotebookPage]) -> None:
    """Would catch: the second page taking the first one's telemetry."""
    # The widget manager of a second page asks for a target that ipywidgets registers; refused, it
    # would leave an error in the first page.
    first = notebook(f"import ipywidgets\n{LOAD}", LISTENERS)
    first.run(0)
    live(first)
    second = lab.again(first)
    live(second)
    for page in (first, second):
        page.page.bring_to_front()
        page.page.evaluate("() => { document.querySelector('.gpl-Tile dd').textContent = 'mark'; }")
        page.poll("() => document.querySelector('.gpl-Tile dd').textContent !== 'mark'")
    # One that was dropped asks again, and each would have its turn.
    first.run(1)
    assert first.text_of(1).strip() == "2"
    assert lab.errors == []


def test_another_notebook_shows_its_own_kernel(
    lab: Lab, notebook: Callable[..., NotebookPage]
) -> None:
    """Would catch: grains of one notebook shown, and parked, beside another."""
    page = notebook(LOAD)
    page.run(0)
    live(page)
    other = lab.notebook_in(page, "")
    page.page.locator(".gpl-Empty:visible").wait_for()
    assert page.page.locator(".gpl-Row:visible").count() == 0
    other.command("docmanager:open", path=page.name)
    page.page.locator(".gpl-Row:visible").first.wait_for()
    assert lab.errors == []
