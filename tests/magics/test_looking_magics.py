"""The magics that look: what they show, write and refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.magics.shells import Notebook


def slices(path: Path) -> list[dict[str, Any]]:
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return [each for each in events if each["ph"] == "X"]


def test_list_and_metrics_show_what_the_grain_holds(notebook: Notebook) -> None:
    notebook("%grain_alloc x 4")
    listing = notebook("%grain_list")
    assert repr(listing).splitlines()[0] == "grain 'notebook': 1 allocation"
    assert "<td" in listing._repr_html_()
    assert "<script" not in listing._repr_html_()
    assert notebook("%grain_metrics").active_allocation_count == 1
    assert notebook("%grain_metrics --all").active_allocation_count == 1
    assert isinstance(notebook("%grain_metrics --frame"), pd.DataFrame)
    form = notebook.shell.display_formatter.format
    assert form(notebook("%grain_metrics"))[0]["text/plain"].startswith("Memory Pool:\n")


def test_the_latest_messages_can_be_written_at_any_time(notebook: Notebook, tmp_path: Path) -> None:
    """Would catch: a trace that is empty unless somebody thought of it before."""
    notebook("%grain_alloc x 4 --fill 1")
    notebook("%%grain_compute --name halve\nx[i] = 0.5 * x[i]")
    written = notebook(f"%grain_trace {tmp_path}/trace.json")
    found = slices(tmp_path / "trace.json")
    assert [each["name"] for each in found][-1] == "halve"
    assert repr(written).endswith(f"{len(found)} messages; open it at ui.perfetto.dev")


def test_a_cell_is_traced_alone(notebook: Notebook, tmp_path: Path) -> None:
    """Would catch: messages of other cells in the file of this one, or a cell that never runs."""
    notebook("%grain_alloc x 4 --fill 1")
    notebook(
        f"%%grain_trace {tmp_path}/cell.json --rows 3\nfor _ in range(5):\n    x.write(2)\n"
        "x.read().result()"
    )
    assert [each["name"] for each in slices(tmp_path / "cell.json")] == ["Write", "Write", "Read"]


def test_keeping_no_messages_is_a_choice(notebook: Notebook, tmp_path: Path) -> None:
    """Would catch: a trace that goes on costing after it was switched off."""
    notebook("%grain_alloc x 4 --fill 1")
    notebook("%config GrainMagics.trace_rows = 0")
    error = notebook.refused(f"%grain_trace {tmp_path}/trace.json")
    assert "%config GrainMagics.trace_rows = 4096" in str(error)
    before = gl.manager()._engine.read_trace(0)[0]
    notebook("%grain_write x 2")
    assert gl.manager()._engine.read_trace(0)[0] == before
    notebook("%config GrainMagics.trace_rows = 10")
    notebook("%grain_write x 2")
    assert notebook(f"%grain_trace {tmp_path}/trace.json").messages == 1


def test_a_new_manager_is_traced_too(notebook: Notebook, tmp_path: Path) -> None:
    """Would catch: the messages of a manager that was closed, for ever."""
    notebook("%grain_alloc x 4 --fill 1")
    gl.manager().close()
    notebook("%grain_alloc y 4 --fill 1")
    assert notebook(f"%grain_trace {tmp_path}/trace.json").messages == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%grain_trace /nosuch/trace.json", "there is no folder /nosuch"),
        ("%grain_trace {folder}", "cannot be written"),
        ("%grain_trace {folder}/t.json --rows 4", "--rows is for a cell"),
        ("%%grain_trace {folder}/t.json --rows 0\npass", "rows=0 is out of range"),
        ("%grain_dashboard --rate 0", "rate_hz=0 is out of range; give 0.1 to 10 updates"),
        ("%grain_dashboard --rate 10_000", "rate_hz=10000 is out of range"),
        ("%grain_dashboard --rate fast", "--rate fast: NameError"),
        ("%grain_dashboard --window 1000", "window_s=1000 is out of range"),
        ("%grain_metrics --watch 0.01", "watch=0.01 is out of range; give 0.1 to 10 seconds"),
        ("%grain_metrics --watch 1", "needs a notebook"),
        ("%grain_metrics --watch 1 --frame", "give --frame or --watch"),
    ],
)
def test_bad_input_is_one_line(notebook: Notebook, tmp_path: Path, line: str, words: str) -> None:
    """Would catch: a traceback of argparse, Bokeh or the file system."""
    error = notebook.refused(line.format(folder=tmp_path))
    assert words in str(error)
    assert "\n" not in str(error)


def test_a_dashboard_replaces_the_one_before_and_can_be_closed(notebook: Notebook) -> None:
    """Would catch: a thread more each time that the cell is run."""
    first = notebook("%grain_dashboard")
    second = notebook("%grain_dashboard --rate 10 --window 1 --theme dark")
    assert (first.closed, second.closed) == (True, False)
    assert notebook("%grain_dashboard --close") is None
    assert second.closed
