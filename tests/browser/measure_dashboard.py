"""The dashboard's rows of `tests.browser.measure`: frames in a busy cell, heap over an hour."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

from tests.browser.rows import say

if TYPE_CHECKING:
    from tests.browser.lab import NotebookPage

__all__ = ["CELLS", "TICKS", "frames", "heap"]

BUSY_S: Final = 12
TICKS: Final = 36_000  # an hour at 10 Hz
CHUNK: Final = 600  # as many as the figures keep: after the first, each tick drops one
MIB: Final = 2**20

CELLS: Final = (
    """%load_ext gpures_lab
import dataclasses, time
from datetime import timedelta
import gpures_lab as gl
%grain_alloc x 1024 --fill 1
grains = [gl.manager().grain(f"grain {n}") for n in range(20)]
for each in grains: each.ping().result()""",
    "board = get_ipython().run_line_magic('grain_dashboard', '--rate 10')\nboard",
    f"""end = time.monotonic() + {BUSY_S}
while time.monotonic() < end:
    for each in grains: each.ping()
    x.write(1).result()""",
    # The dashboard's own tick, over its own comms, with a clock that runs as fast as they do.
    """board._ticker.paused = True
time.sleep(0.5)  # a tick that was under way
read, ahead = board._reader.read, timedelta(0)
def later(**options):
    global ahead
    ahead += timedelta(seconds=0.1)
    now = read(**options)
    at = now.taken_at + ahead
    now.row["time"] = at.timestamp() * 1e3
    return dataclasses.replace(now, taken_at=at)
board._reader.read = later
def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20""",
    f"""for n in range({CHUNK}):
    if n % 20 == 0:
        for each in grains: each.ping()
    board._tick()
print(round(board._readings[-1].row["time"]), resident_mib())""",
)

SOURCE: Final = """(window.Bokeh?.documents ?? []).flatMap(each => [...each._all_models.values()])
  .find(each => each.type === 'ColumnDataSource' && each.data.time !== undefined)"""
# One entry a patch that reached the figures, and one a frame in which one of them was drawn anew.
COUNT: Final = f"""() => {{
  window.counted = {{ patches: [], frames: [] }};
  ({SOURCE}).streaming.connect(() => window.counted.patches.push(performance.now()));
  const canvas = CanvasRenderingContext2D.prototype, clear = canvas.clearRect;
  let drawn = false;
  canvas.clearRect = function(...box) {{ drawn = true; return clear.apply(this, box); }};
  const look = () => {{
    if (drawn) window.counted.frames.push(performance.now());
    drawn = false;
    requestAnimationFrame(look);
  }};
  requestAnimationFrame(look);
}}"""


def frames(page: NotebookPage) -> None:
    """Updates that a person sees each second while a cell runs."""
    page.page.evaluate(COUNT)
    page.start(2)
    page.wait_until_busy()
    page.page.wait_for_timeout(1_000)
    begin = page.page.evaluate("() => performance.now()")
    page.page.wait_for_timeout((BUSY_S - 3) * 1_000)
    end, counted = page.page.evaluate("() => [performance.now(), window.counted]")
    page.wait_until_idle()
    rates = {
        name: sum(begin < at <= end for at in times) / (end - begin) * 1e3
        for name, times in counted.items()
    }
    fewest = min(
        sum(begin + 1e3 * n < at <= begin + 1e3 * (n + 1) for at in counted["frames"])
        for n in range(BUSY_S - 3)
    )
    say(
        "dashboard at 10 Hz in a busy cell",
        f"{rates['frames']:.1f} frames a second (fewest in one second {fewest}), "
        f"{rates['patches']:.1f} updates arrived",
        ">= 8 frames a second",
        rates["frames"] >= 8,
    )


def heap(page: NotebookPage, ticks: int) -> None:
    """So many updates through the real comms and figures, as fast as both go."""
    session = page.page.context.new_cdp_session(page.page)

    def used_mib() -> float:
        session.send("HeapProfiler.collectGarbage")
        found: dict[str, Any] = session.send("Runtime.getHeapUsage")
        return float(found["usedSize"]) / MIB

    page.run(3)
    browser, kernel = [], []
    for _ in range(max(4, ticks // CHUNK)):
        page.run(4)
        newest, resident = page.text_of(4).split()
        page.poll(f"newest => ({SOURCE}).data.time.at(-1) >= newest - 1", float(newest))
        browser.append(used_mib())
        kernel.append(float(resident))
    # After a sixth everything that is kept is full: 600 ticks, and the notebook's own history.
    warm = len(browser) // 6
    grown = {
        name: statistics.median(values[-3:]) - statistics.median(values[warm : warm + 3])
        for name, values in (("browser", browser), ("kernel", kernel))
    }
    say(
        f"{len(browser) * CHUNK:,} updates ({len(browser) * CHUNK / 600:.0f} minutes at 10 Hz), "
        "after a sixth of them",
        f"browser heap {grown['browser']:+.1f} MiB (now {browser[-1]:.1f}), "
        f"kernel {grown['kernel']:+.1f} MiB (now {kernel[-1]:.1f})",
        "flat: within 2 MiB",
        grown["browser"] <= 2 and grown["kernel"] <= 2,
    )
