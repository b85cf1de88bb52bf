"""The story that README and the quickstart tell, played in JupyterLab from its first line."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_dashboard import colours, figure, scroll_to, until_drawn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.lab import Lab, NotebookPage

pytest.importorskip("sklearn")

CELLS = (
    "%load_ext gpures_lab",
    "from sklearn.datasets import load_digits; px = load_digits().data.astype('f4')",
    "%grain_alloc x --from px",
    "%grain_alloc z --like x",
    "a = 0.5",
    "%%grain_compute --time\nz[i] = a * x[i] + 1",
    "z",
    "%grain_dashboard",
    "for _ in range(2_000):\n    z.read(count=64).result()",
    "a = 0.25",
    "%grain_checkpoint --replace",
    "%load_ext gpures_lab\n%grain_restore",
    (
        "import numpy as np, sklearn.datasets\n"
        "bool((np.asarray(z) == 0.25 * sklearn.datasets.load_digits().data.astype('f4') + 1).all())"
    ),
)


def test_the_story(notebook: Callable[..., NotebookPage], lab: Lab, screenshots: Path) -> None:
    """Would catch: a step that needs what no line before it showed, or says something else."""
    shown = notebook(*CELLS)
    shown.page.set_viewport_size({"width": 1400, "height": 1500})
    begin = time.monotonic()
    for cell in range(9):
        shown.run(cell)
        if cell == 7:
            until_drawn(shown)
    assert "x  float32 (1797, 64)  449.2 KiB" in shown.text_of(2)
    assert "on host (CPU threads" in shown.text_of(2)
    timed = r"z ← cell\(x, a\)  compiled once  queue .*  service .*  round trip "
    assert re.search(timed, shown.text_of(5))
    assert "grain 'notebook'" in shown.text_of(6)
    shown.run(9)
    shown.run(5)
    assert "compiled once" in shown.text_of(5)  # another number compiles nothing
    scroll_to(shown, shown.page.locator(".bk-GridPlot").first)
    assert colours(figure(shown)) > 10
    shown.page.screenshot(path=screenshots / "story.png")
    shown.run(10)
    assert lab.errors == []
    shown.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    shown.wait_until_idle()
    shown.run(11)
    assert "is back with 2 allocations" in shown.text_of(11)
    shown.run(12)
    assert "True" in shown.text_of(12)
    print(f"the story took {time.monotonic() - begin:.1f} s")  # noqa: T201 - asked for
