"""That there is a page to test on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.lab import Lab, NotebookPage


def test_a_cell_runs_in_a_real_page(lab: Lab, notebook: Callable[..., NotebookPage]) -> None:
    """Would catch: a page in which nothing runs, on which every absence would look like success."""
    page = notebook("print(6 * 7)")
    page.run(0)
    assert page.text_of(0).strip() == "42"
    assert lab.errors == []
