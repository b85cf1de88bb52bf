"""The line magics in a shell: what they bind, refuse, print, and leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import gpures_lab as gl
from gpures_lab.magics.arguments import example_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.magics.shells import Notebook

MAGICS = (
    "grain",
    "grain_checkpoint",
    "grain_dashboard",
    "grain_restore",
    "grain_alloc",
    "grain_write",
    "grain_read",
    "grain_release",
    "grain_kernels",
    "grain_list",
    "grain_metrics",
    "grain_status",
    "grain_trace",
)


def test_alloc_binds_a_handle_named_as_in_the_notebook(notebook: Notebook) -> None:
    """Catches a handle under its automatic name, or a shape read as text."""
    notebook("rows = 3")
    notebook("%grain_alloc x rows 4 --dtype float64 --fill 1.5")
    x = notebook.names["x"]
    assert (x.name, x.shape, x.dtype) == ("x", (3, 4), np.float64)
    np.testing.assert_array_equal(np.asarray(x), np.full((3, 4), 1.5))


def test_alloc_from_takes_shape_dtype_and_data(notebook: Notebook) -> None:
    """Catches the grain's default dtype where the data's own is meant."""
    notebook.names["px"] = data = np.arange(6, dtype=np.int16).reshape(2, 3)
    notebook("%grain_alloc x --from px")
    notebook("%grain_alloc y --from 'px + 1'")
    np.testing.assert_array_equal(np.asarray(notebook.names["x"]), data)
    np.testing.assert_array_equal(np.asarray(notebook.names["y"]), data + 1)
    assert notebook.names["x"].dtype == np.int16


def test_alloc_says_what_it_made_and_keeps_nothing(notebook: Notebook) -> None:
    """Catches a value of the cell that keeps released memory in `Out`."""
    line = notebook("%grain_alloc x 1024")
    assert repr(line).startswith("x  float32 (1024,)  4.00 KiB  grain 'notebook' on host (CPU th")
    notebook("%grain_release x")
    assert gl.manager().metrics().active_allocation_count == 0


def test_alloc_like_and_pinned(notebook: Notebook) -> None:
    notebook("%grain_alloc x 2 3 --dtype int64")
    notebook("%grain_alloc y --like x --pinned")
    y = notebook.names["y"]
    assert (y.shape, y.dtype, y.memory_type) == ((2, 3), np.int64, "pinned")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%grain_alloc x --from words", "convert it to numbers first"),
        ("%grain_alloc x --from numbers --dtype int32", "does not cast to int32"),
        ("%grain_alloc x 4 --dtype int32 --fill 0.5", "does not cast to int32"),
        ("%grain_alloc x 4 --dtype nonsense", "no NumPy dtype"),
        ("%grain_alloc x --from nosuch", "name 'nosuch' is not defined"),
        ("%grain_alloc x", "give one of: a shape, --from or --like"),
        ("%grain_alloc x 0", "must be 1 or more"),
        ("%grain_alloc x 100000000000", "do not fit"),
    ],
)
def test_a_refused_alloc_leaves_the_old_memory_of_that_name(
    notebook: Notebook, line: str, words: str
) -> None:
    """Catches a replacement that happens before the data is known to fit."""
    notebook.names["words"] = pd.Series(["a", "b"], dtype=object)
    notebook.names["numbers"] = np.array([0.5, 1.5])
    notebook("%grain_alloc x 4 --fill 7")
    old = notebook.names["x"]
    error = notebook.refused(line)
    assert words in str(error)
    assert notebook.names["x"] is old
    np.testing.assert_array_equal(np.asarray(old), np.full(4, 7, np.float32))
    assert list(gl.manager().grain().handles) == ["x"]


def test_write_read_release(notebook: Notebook) -> None:
    notebook("%grain_alloc x 4")
    notebook("%grain_write x np.arange(4) * -1")
    np.testing.assert_array_equal(notebook("%grain_read x --count 2 --offset 1"), [-1, -2])
    notebook("%grain_write x -1")
    assert notebook("%grain_read x --into host") is None
    np.testing.assert_array_equal(notebook.names["host"], [-1, -1, -1, -1])
    notebook("%grain_release x")
    assert notebook.names["x"].released
    assert type(notebook.refused("%grain_read x")) is gl.StaleHandle


def test_release_of_an_unknown_name_releases_none(notebook: Notebook) -> None:
    """Catches a loop that gives back `x` before it finds that `nosuch` is nothing."""
    notebook("%grain_alloc x 4")
    notebook.refused("%grain_release x nosuch")
    assert not notebook.names["x"].released


def test_an_array_on_the_host_is_named_with_its_cure(notebook: Notebook) -> None:
    notebook.names["px"] = np.zeros(3)
    error = notebook.refused("%grain_read px")
    assert str(error) == "px is a NumPy array on the host: %grain_alloc x --from px"


def test_grain_chooses_where_allocations_go(notebook: Notebook) -> None:
    """Catches a refused choice that still changes the current grain."""
    assert notebook("%grain scores --dtype float64").key == "scores"
    notebook("%grain_alloc x 4")
    assert notebook.names["x"].grain.key == "scores"
    assert notebook.names["x"].dtype == np.float64
    notebook.refused("%grain other --device cuda:7")
    assert notebook("%grain").key == "scores"


def test_a_magic_in_a_function_sees_the_functions_names(notebook: Notebook) -> None:
    """Catches names looked up in the notebook only."""
    notebook("def f(data):\n    %grain_alloc x --from data\n    %grain_read x --into back\n")
    notebook("f([1.0, 2.0])")
    np.testing.assert_array_equal(notebook.names["back"], [1, 2])


@pytest.mark.parametrize("name", MAGICS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_prints_usage_and_does_nothing(
    notebook: Notebook, capsys: pytest.CaptureFixture[str], name: str, flag: str
) -> None:
    """Catches argparse's complaint about a missing argument, which -h used to give."""
    assert notebook(f"%{name} {flag}") is None
    assert capsys.readouterr().out.startswith(f"usage: %{name} ")


@pytest.mark.parametrize("name", MAGICS)
def test_the_example_at_the_end_of_the_help_runs(
    notebook: Notebook, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # one of them writes a file
    example = example_of(notebook.shell.find_line_magic(name))
    assert f"%{name}" in example
    notebook(example)


def test_errors_are_one_line_unless_the_traceback_is_wanted(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches forty lines of our own frames where one line names the cure."""
    notebook.refused("%grain_read nosuch")
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "InvalidOption: nosuch is not defined: %grain_alloc nosuch 1024"
    notebook("%config GrainMagics.short_errors = False")
    notebook.refused("%grain_read nosuch")
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_an_unknown_option_names_the_help(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.refused("%grain_read x --nosuch")
    shown = capsys.readouterr().err.splitlines()
    assert shown == ["UsageError: unrecognized arguments: --nosuch; see %grain_read --help"]


def test_a_handle_at_the_end_of_a_cell_shows_its_values(notebook: Notebook) -> None:
    """Catches an HTML repr that is missing, or that an address makes unstable."""
    x: Any = notebook("%grain_alloc x 3 --fill 2\nx")
    data, _ = notebook.shell.display_formatter.format(x)
    assert data["text/plain"] == f"{x!r}\n[2., 2., 2.]"
    assert "[2., 2., 2.]" in data["text/html"]
    assert "&lt;ResidentArray" in data["text/html"]
    notebook("%grain_release x")
    assert "released" in notebook.shell.display_formatter.format(x)[0]["text/plain"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--offset 99", "offset=99 leaves x"),
        ("--offset -1", "offset=-1 leaves x"),
        ("--count 9", "count=9 leaves x"),
        ("--offset 1 --count 5", "offset=1, count=5 leaves x"),
    ],
)
def test_a_range_outside_is_named_as_it_was_given(
    notebook: Notebook, options: str, said: str
) -> None:
    """Catches a count of -96 that nobody asked for."""
    notebook("%grain_alloc x 3")
    assert str(notebook.refused(f"%grain_read x {options}")).startswith(said)


@pytest.mark.parametrize("line", ["%grain_alloc y --from m", "%grain_write x m"])
def test_a_mask_is_never_dropped(notebook: Notebook, line: str) -> None:
    """Catches masked elements that become numbers, whatever lay under the mask."""
    notebook("%grain_alloc x 3 --fill 7\nm = np.ma.array([1, 2, 3], mask=[0, 1, 0], dtype='f4')")
    error = notebook.refused(line)
    assert "is a masked array, 1 of 3 elements masked" in str(error)
    assert list(notebook("%grain_read x")) == [7, 7, 7]
    notebook("m.mask = False")
    notebook(line)


@pytest.mark.parametrize("line", ["%grain_alloc print 3", "%grain_read x --into len"])
def test_pythons_own_names_stay(notebook: Notebook, line: str) -> None:
    """Catches a notebook in which nothing prints any more."""
    notebook("%grain_alloc x 3")
    assert "is Python's own" in str(notebook.refused(line))
    assert callable(notebook("print"))


def test_what_a_name_meant_before_is_said(notebook: Notebook) -> None:
    """Catches data of the user's that is gone without a word."""
    notebook.names["px"] = np.ones((2, 3))
    assert repr(notebook("%grain_alloc px 3")).endswith("  (the name was of a ndarray (2, 3))")
    assert repr(notebook("%grain_alloc px 4")).endswith("%grain_status)")
    said = repr(notebook("%grain_read px --into px"))
    assert said == ("px is the data now; the resident px stays: %grain_release px gives it back")
    notebook("%grain_release px px")
    assert gl.manager().metrics().active_allocation_count == 0


def test_the_line_says_why_it_is_the_host(notebook: Notebook) -> None:
    """Catches a line that only points to where the reason is."""
    why = gl.manager().driver.reason.partition(" (")[0]
    assert repr(notebook("%grain_alloc x 3")).endswith(f"(CPU threads; {why}: %grain_status)")


def test_a_magic_makes_a_durable_grain(notebook: Notebook) -> None:
    """Catches state that no cell can keep."""
    assert notebook("%grain magic_durable --durable").durable
    assert notebook("%grain magic_durable").durable
    assert not notebook("%grain other").durable


def test_a_missing_name_and_a_wrong_size_are_said_as_they_are(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches a shape that is asked for and optional, an option that the magic has not."""
    notebook.refused("%grain_alloc")
    assert "required: name; see" in capsys.readouterr().err
    notebook("%grain_alloc x 4")
    assert "x.write(data, offset=0) writes a part" in str(notebook.refused("%grain_write x [1, 2]"))
