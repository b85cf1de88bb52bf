"""``gpures-lab demo``: what it prints, and that it never claims success it did not see."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from gpures_lab import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Quickstart = Callable[..., Path]

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

# Jupyter's own libraries warn on import or at the end of a kernel, in some versions.
pytestmark = [
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::RuntimeWarning"),
]

LEAVE_FIGURES = """
from IPython.display import display
figures = {"report": "Memory Pool:\\n  Hits: 3", "driver": "driver: host", "loop": "loop: 2 ms"}
display({"application/vnd.gpures.figures+json": figures}, raw=True)
"""


def test_it_ends_with_the_report_and_three_lines(
    quickstart: Quickstart, capsys: pytest.CaptureFixture[str]
) -> None:
    quickstart("print('not this')", LEAVE_FIGURES, "'nor this'")
    assert cli.main(["demo"]) == 0
    assert capsys.readouterr().out == (
        "Memory Pool:\n"
        "  Hits: 3\n"
        "\n"
        "driver: host\n"
        "loop: 2 ms\n"
        "open notebooks/01_quickstart.ipynb with: make lab\n"
    )


def test_its_figures_as_json(quickstart: Quickstart, capsys: pytest.CaptureFixture[str]) -> None:
    quickstart(LEAVE_FIGURES)
    assert cli.main(["demo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loop"] == "loop: 2 ms"


def test_the_notebook_runs_in_this_python_and_in_a_folder_of_its_own(
    quickstart: Quickstart,
) -> None:
    """Would catch: a demo that runs in another Python, or leaves files beside the notebooks."""
    folder = quickstart(
        "import os, sys, pathlib\n"
        f"assert os.path.realpath(sys.executable) == os.path.realpath({sys.executable!r})\n"
        "pathlib.Path('left_behind').touch()\n"
        "assert os.environ['GPURES_STATE_DIR'].startswith(os.getcwd())",
        LEAVE_FIGURES,
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert cli.main(["demo"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_failing_cell_is_shown_and_fails(
    quickstart: Quickstart, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: `make demo` green although the quickstart does not run."""
    quickstart("answer = 6 * 7", "raise ValueError(f'the ring said {answer}')", LEAVE_FIGURES)
    assert cli.main(["demo"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "ValueError: the ring said 42" in output.err


def test_a_cell_that_never_ends_is_stopped(
    quickstart: Quickstart,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "_CELL_TIMEOUT_S", 1)
    quickstart("import threading\nthreading.Event().wait()")
    assert cli.main(["demo"]) == 1
    assert "ran for more than 1 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "cell",
    [
        "print('no figures')",
        LEAVE_FIGURES.replace('"loop"', '"lap"'),
    ],
    ids=["none", "incomplete"],
)
def test_without_figures_it_fails(
    quickstart: Quickstart, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    """Would catch: a demo that prints nothing and exits 0."""
    quickstart(cell)
    assert cli.main(["demo"]) == 1
    assert "none of its cells left its figures" in capsys.readouterr().err


def test_without_nbclient_it_names_the_extras(
    quickstart: Quickstart, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quickstart(LEAVE_FIGURES)
    monkeypatch.setitem(sys.modules, "nbclient.exceptions", None)
    assert cli.main(["demo"]) == 2
    assert "pip install 'gpures_lab[jupyter,tutorials]'" in capsys.readouterr().err
