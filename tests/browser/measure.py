"""What extension and dashboard cost, and how soon they answer: ``python -m tests.browser.measure``.

``--only extension`` or ``--only dashboard`` measures one of them; ``--updates`` of the dashboard
are those of an hour when left out.

Prints one line a row, with what was wanted. Times are the page's own clock; CPU time is that of the
page's process, all threads, as the system counts it (drawing is on the CPU here).
"""

from __future__ import annotations

import argparse
import gzip
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.browser import measure_dashboard
from tests.browser.lab import LABEXTENSION, Lab, NotebookPage, Server, labextension_missing
from tests.browser.rows import say
from tests.conftest import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

GRAINS: Final = 500
RATE_HZ: Final = 5
WATCHED_S: Final = 20
TYPED: Final = "the quick brown fox jumps over the lazy dog"

LOAD: Final = f"""
%load_ext gpures_lab
import gpures_lab as gl, time
lab = gl.manager()
grains = [lab.grain(f'grain {{n}}') for n in range({GRAINS})]
for g in grains: g.allocate(16, name='x')
grains[-1].barrier().result()
"""
BUSY: Final = """
deadline = time.monotonic() + {seconds}
while time.monotonic() < deadline:
    for g in grains: g.ping().result()
    time.sleep(0.02)
"""
DEATH: Final = "from gpures_lab.magics import comms\ncomms._offer._made.telemetry._ticker.close()"
# Times from a press to the acknowledgement on control, and to the outcome that is shown.
PRESS: Final = """
() => new Promise(resolve => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const said = document.querySelector('.gpl-Said');
  said.textContent = '';
  const times = {};
  const done = () => times.ack && times.shown && (observer.disconnect(), resolve(times));
  const observer = new MutationObserver(() => {
    if (said.textContent === 'park: parked') { times.shown ??= performance.now() - start; done(); }
  });
  observer.observe(said, {childList: true, characterData: true, subtree: true});
  const heard = (_, message) => {
    if (message.content?.data?.kind === 'ack' && message.content.data.new) {
      kernel.iopubMessage.disconnect(heard);
      times.ack = performance.now() - start;
      done();
    }
  };
  kernel.iopubMessage.connect(heard);
  const start = performance.now();
  document.querySelector('[data-action=park]').click();
})
"""


def at_start(page: NotebookPage) -> None:
    """Bytes and time that JupyterLab's start pays for the extension."""
    urls: list[str] = page.page.evaluate(
        "() => performance.getEntriesByType('resource').map(each => each.name)"
    )
    ours = {re.sub(r"[?#].*", "", url).rsplit("/", 1)[1] for url in urls if "/gpures-lab/" in url}
    files = [path for path in LABEXTENSION.rglob("*") if path.name in ours]
    packed = sum(len(gzip.compress(path.read_bytes(), 6)) for path in files)
    whole = sum(path.stat().st_size for path in files)
    say(
        "added to Lab's start",
        f"{packed / 1e3:.1f} kB compressed ({whole / 1e3:.1f} kB, {len(files)} files)",
        "<= 150 kB compressed",
        0 < packed <= 150_000,
    )
    entries: list[dict[str, Any]] = page.page.evaluate(
        "() => performance.getEntriesByType('measure').filter(e => e.name.startsWith('activate '))"
        ".map(({name, duration}) => ({name, duration}))"
    )
    total = sum(each["duration"] for each in entries)
    parts = ", ".join(f"{each['name'].split(':')[1]} {each['duration']:.1f}" for each in entries)
    say("activation", f"{total:.1f} ms ({parts})", "<= 50 ms", len(entries) == 4 and total <= 50)
    bokeh = [url for url in urls if "bokeh.min.js" in url]
    say("BokehJS at start", f"{len(bokeh)} requests", "none before a chart opens", not bokeh)


def presses(page: NotebookPage) -> None:
    """Park, pressed while a cell runs."""
    found = [page.page.evaluate(PRESS) for _ in range(6)]
    for name, key in (("acknowledged", "ack"), ("outcome shown", "shown")):
        times = [each[key] for each in found]
        listed = ", ".join(f"{each:.0f}" for each in times)
        say(
            f"park in a busy cell, {name}",
            f"first two {times[0]:.0f} and {times[1]:.0f} ms, all: {listed} ms",
            "<= 200 ms for the first two" if key == "ack" else "reported",
            key != "ack" or max(times[:2]) <= 200,
        )


def renderer_s(browser: Browser) -> dict[int, float]:
    """CPU seconds of each page process of this browser."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return {each["id"]: each["cpuTime"] for each in processes if each["type"] == "renderer"}


def watching(browser: Browser, page: NotebookPage) -> None:
    """The list of 500 grains at 5 Hz, beside the same page with the sidebar closed."""
    shares = {}
    for name, command in (
        ("closed", "filebrowser:activate"),
        ("open", "gpures-lab:open-sidebar"),
    ):
        page.command(command)
        page.page.wait_for_timeout(3_000)
        started = time.monotonic()
        processes = renderer_s(browser)
        page.page.wait_for_timeout(WATCHED_S * 1_000)
        took = time.monotonic() - started
        cpu = max(after - processes.get(pid, 0) for pid, after in renderer_s(browser).items())
        shares[name] = cpu / took
    closed, opened = shares["closed"], shares["open"]
    say(
        f"{GRAINS} grains at {RATE_HZ} Hz",
        f"{opened:.1%} of one core for the whole page, sidebar closed {closed:.1%}",
        "<= 10 % of one core",
        opened <= 0.10,
    )


def typing(page: NotebookPage) -> None:
    """Keys typed into the filter while the list moves, and how long the page kept each."""
    field = page.page.get_by_label("Filter grains by key")
    page.page.evaluate(
        """() => {
          window.waits = [];
          const field = document.querySelector('.gpl-Search');
          field.addEventListener('input', event => {
            const at = event.timeStamp;
            requestAnimationFrame(() => window.waits.push(performance.now() - at));
          });
        }"""
    )
    field.press_sequentially(TYPED, delay=30)
    page.page.wait_for_timeout(500)
    waits = page.page.evaluate("() => window.waits")
    typed = field.input_value()
    field.fill("")
    say(
        "keys typed meanwhile",
        f"{len(typed)} of {len(TYPED)} arrived, key to frame "
        f"p50 {statistics.median(waits):.0f} ms, max {max(waits):.0f} ms",
        "none dropped",
        typed == TYPED,
    )


def stale(page: NotebookPage) -> None:
    """From the sampler's death to the words."""
    page.page.evaluate(
        """() => {
          const banner = document.querySelector('.gpl-Banner');
          new MutationObserver(() => {
            if (banner.textContent.includes('Stale since')) window.saidAt ??= Date.now();
          }).observe(banner, {subtree: true, childList: true, characterData: true});
        }"""
    )
    page.run(2)
    ended = page.page.evaluate("() => Date.now()")
    page.poll("() => window.saidAt !== undefined")
    took = (page.page.evaluate("() => window.saidAt") - ended) / 1e3
    say("'stale since' after the sampler's death", f"{took:.1f} s", "<= 3 s", took <= 3)


def extension(browser: Browser, lab: Lab) -> None:
    """The rows of the sidebar."""
    page = lab.notebook(LOAD, BUSY.format(seconds=2 * WATCHED_S + 30), DEATH)
    at_start(page)
    page.run(0)
    page.command("gpures-lab:open-sidebar")
    page.page.locator(".gpl-Row:visible").first.wait_for()
    page.page.evaluate(
        f"""() => {{
          const all = [...window.jupyterapp.shell.widgets('left')];
          const panel = all.find(each => each.id === 'gpures-lab-sidebar');
          panel.active.configure({{rate: {RATE_HZ}, window: 5}});
        }}"""
    )
    page.start(1)
    page.wait_until_busy()
    presses(page)
    watching(browser, page)
    typing(page)
    page.wait_until_idle()
    stale(page)


def shown(lab: Lab) -> NotebookPage:
    """A notebook with a dashboard in sight."""
    page = lab.notebook(*measure_dashboard.CELLS)
    page.page.set_viewport_size({"width": 1400, "height": 1300})
    page.run(0)
    page.run(1)
    page.page.locator(".bk-Figure").nth(5).wait_for()
    page.page.locator(".bk-GridPlot").first.evaluate("each => each.scrollIntoView()")
    return page


def main() -> int:
    """Measure everything; 2 if it cannot be measured here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("extension", "dashboard"))
    parser.add_argument("--updates", type=int, default=measure_dashboard.TICKS)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    reason = labextension_missing() or (None if found else "no Chromium: install chromium")
    if reason is not None:
        sys.stderr.write(f"{reason}\n")
        return 2
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    parts: list[tuple[str, str, Callable[[Lab], None]]] = [
        ("extension", "extension", lambda lab: extension(browser, lab)),
        ("dashboard", "dashboard", lambda lab: measure_dashboard.frames(shown(lab))),
        ("dashboard", "an hour", lambda lab: measure_dashboard.heap(shown(lab), given.updates)),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        for group, name, measure in parts:
            if given.only not in (None, group):
                continue
            # An hour in minutes is more than a server lets through.
            with (
                tempfile.TemporaryDirectory() as folder,
                Server(Path(folder), limit_rate=name != "an hour") as server,
                Lab(server, browser) as lab,
            ):
                measure(lab)
                say(f"errors in the console, {name}", str(len(lab.errors)), "none", not lab.errors)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
