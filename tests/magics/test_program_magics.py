"""``%%grain_program`` and ``%grain_run`` in a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpures_lab.errors import InvalidOption, StaleHandle
from gpures_lab.magics.arguments import example_of

if TYPE_CHECKING:
    from tests.magics.shells import Notebook


@pytest.fixture
def filled(notebook: Notebook) -> Notebook:
    """Return a notebook with x = 1, z = 0 and the program `step` of the magic's own example."""
    notebook("%grain_alloc x 8 --fill 1\n%grain_alloc z 8")
    notebook(example_of(notebook.shell.find_cell_magic("grain_program")))
    return notebook


def first(notebook: Notebook) -> float:
    return float(np.asarray(notebook.names["z"])[0])


def test_the_examples_record_and_replay(filled: Notebook) -> None:
    """Would catch: calls sent while they are recorded, or a name lent and never taken back."""
    assert "grain" not in filled.names
    assert first(filled) == 0
    result = filled(example_of(filled.shell.find_line_magic("grain_run")))
    assert (result.iterations, result.steps) == (1000, 10_000)
    assert first(filled) == 5000


def test_a_run_and_a_compute_show_as_one_line(filled: Notebook) -> None:
    """Would catch: raw nanoseconds at the end of a cell."""
    form = filled.shell.display_formatter.format
    shown = form(filled("%grain_run step --repeat 1000"))[0]["text/plain"]
    assert shown.startswith("1,000 iterations  queue ")
    call = "gl.manager().grain().compute('kernels/Saxpy', [x, z], [z], {'a': 1.0}).result()"
    shown = form(filled(f"import gpures_lab as gl\n{call}"))[0]["text/plain"]
    assert shown.startswith("kernels/Saxpy  queue ")
    shown = form(filled("%%grain_compute --time\nz[i] = x[i]"))[0]["text/plain"]
    assert shown.startswith("z ← cell(x)  compiled once  queue ")


def test_params_and_until_are_of_one_run(filled: Notebook) -> None:
    """Would catch: an option that is parsed and not passed on."""
    filled("%grain_run step --repeat 2 --param a=1.0")
    assert first(filled) == 20
    filled(
        "%grain_alloc flag 1 --fill 1\nr = get_ipython().run_line_magic(\n"
        "    'grain_run', 'step --repeat 9 --until flag --every 2')"
    )
    assert filled.names["r"].iterations == 2


def test_a_cell_that_fails_leaves_the_old_program(filled: Notebook) -> None:
    """Would catch: half a program under the name, or a thread that still records."""
    error = filled.refused("%%grain_program step\ngrain.ping()\ngrain.read(z)")
    assert isinstance(error, InvalidOption)
    assert "cannot be recorded" in str(error)
    filled("%grain_run step")
    assert first(filled) == 5


def test_a_kernel_may_be_defined_in_the_cell(filled: Notebook) -> None:
    """Would catch: a kernel whose source cannot be found because the cell is no file."""
    filled(
        "%%grain_program twice\nimport gpures_lab as gl\n@gl.kernel\ndef double(i, x):\n"
        "    x[i] = x[i] + x[i]\ngrain.compute(double, outputs=[x])"
    )
    filled("%grain_run twice --repeat 3")
    assert np.asarray(filled.names["x"])[0] == 8


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%grain_run nothing", "no program"),
        ("%grain_run x", "no program"),
        ("%grain_run step --repeat 0.5", "repeat=0.5"),
        ("%grain_run step --param b=1", "no parameter 'b'"),
        ("%grain_run step --param a", "name=number"),
        ("%grain_run step --until px", "px is not defined"),
        ("%%grain_program 1step\npass", "no name"),
    ],
)
def test_bad_input_is_one_line(filled: Notebook, cell: str, says: str) -> None:
    """Would catch: a traceback, or an error without its cure."""
    error = filled.refused(cell)
    assert says in str(error)
    assert "\n" not in str(error)
    assert first(filled) == 0


def test_a_replaced_name_is_said(filled: Notebook) -> None:
    """Would catch: a program that writes to memory that is another array's by now."""
    filled("%grain_alloc z 16")
    assert isinstance(filled.refused("%grain_run step"), StaleHandle)


def test_a_compute_cell_in_a_program_is_recorded(filled: Notebook) -> None:
    """Would catch: a wait for a completion that a recorded call does not have."""
    filled("%%grain_program twice\n%%grain_compute --repeat 2\nz[i] = z[i] + x[i]")
    assert first(filled) == 0
    filled("%grain_run twice --repeat 3")
    assert first(filled) == 6
    error = filled.refused("%%grain_program no\n%%grain_compute --time\nz[i] = x[i]")
    assert "--time has no completion to show while a program is recorded" in str(error)


def test_a_magics_own_complaint_names_its_own_help(
    filled: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: the help of the cell around it."""
    filled.refused("%%grain_program no\n%grain_write")
    assert capsys.readouterr().err.rstrip().endswith("see %grain_write --help")


def test_a_cells_own_grain_stays(filled: Notebook) -> None:
    """Would catch: a name of the user's taken back with the one that was lent."""
    filled(
        "%%grain_program own\nimport gpures_lab as gl\ngrain = gl.manager().grain()\ngrain.ping()"
    )
    assert filled.names["grain"].key == "notebook"
