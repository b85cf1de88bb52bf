"""``%grain_checkpoint`` and ``%grain_restore`` in a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.magics.shells import Notebook


@pytest.fixture(autouse=True)
def state_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the checkpoints of one test out of the next."""
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path / "state"))


def test_names_are_back_after_a_restart(notebook: Notebook) -> None:
    """Would catch: memory that is back, and no way to reach it from the notebook."""
    notebook("%grain_alloc z 3 --fill 2\n%grain_alloc w 2 --dtype int64 --fill 5")
    said = notebook("%grain_checkpoint")
    assert repr(said) == (
        "checkpoint 1 of 'notebook': 2 allocations, 28 B; after a restart: %grain_restore"
    )
    gl.manager().close()
    for name in ("z", "w"):
        del notebook.names[name]
    said = notebook("%grain_restore")
    assert repr(said) == "grain 'notebook' is back with 2 allocations, 28 B: z, w"
    np.testing.assert_array_equal(np.asarray(notebook.names["z"]), [2, 2, 2])
    notebook("%%grain_compute\nz[i] += 1")
    np.testing.assert_array_equal(notebook("%grain_read z"), [3, 3, 3])


def test_restoring_another_grain_chooses_it(notebook: Notebook) -> None:
    """Would catch: cells that go on with the grain before, on names of the one restored."""
    notebook("%grain kept")
    notebook("%grain_alloc x 1 --fill 7\n%grain_checkpoint")
    gl.manager().close()
    assert notebook("%grain").key == "kept"
    notebook("%grain other")
    notebook("%grain_restore kept")
    assert notebook("%grain").key == "kept"


def test_a_refused_restore_changes_nothing(notebook: Notebook) -> None:
    """Would catch: names bound, or the grain chosen, before the restore is known to work."""
    notebook("%grain_alloc x 1 --fill 7")
    x = notebook.names["x"]
    error = notebook.refused("%grain_restore nosuch")
    assert isinstance(error, gl.StateConflict)
    assert "\n" not in str(error)
    notebook("%grain_checkpoint")
    assert isinstance(notebook.refused("%grain_restore"), gl.StateConflict)  # x is live
    assert notebook.names["x"] is x
    assert notebook("%grain").key == "notebook"


def test_a_checkpoint_of_another_is_not_replaced_unasked(notebook: Notebook) -> None:
    notebook("%grain_alloc x 1 --fill 7\n%grain_checkpoint")
    gl.manager().close()
    notebook("%grain_alloc x 1 --fill 8")
    assert isinstance(notebook.refused("%grain_checkpoint"), gl.StateConflict)
    assert repr(notebook("%grain_checkpoint --replace")).startswith("checkpoint 2 of")


def test_names_that_mean_something_else_are_kept_and_said(notebook: Notebook) -> None:
    """Catches an array of the user's, or print, that a restore takes away without a word."""
    grain = gl.manager().grain("names")
    held = [grain.allocate(3, name=each) for each in ("print", "data", "class", "x", "free", "np")]
    notebook("%grain names")
    notebook("%grain_checkpoint")
    grain.discard()
    del held
    notebook("data = np.ones(5)\nx = None")
    said = repr(notebook("%grain_restore names"))
    assert said.splitlines()[0].endswith(": x, free")
    for left in ("print", "class", "data (ndarray (5,))", "np (module)"):
        assert left in said, left
    assert "x = gl.manager().grain('names').handles['print'] gives one a name" in said
    assert notebook.names["data"].tolist() == [1] * 5
    assert notebook.names["np"] is np
    assert "print" not in notebook.names
    assert isinstance(notebook.names["x"], gl.ResidentArray)
    assert gl.manager().grain("names").handles["data"].size == 3


def test_handles_of_before_give_way(notebook: Notebook) -> None:
    """Catches stale handles that keep their names from the ones that are back."""
    notebook("%grain_alloc x 3 --fill 2\n%grain_checkpoint")
    gl.manager().grain("notebook").discard()
    notebook("%grain_restore")
    assert np.asarray(notebook.names["x"]).tolist() == [2, 2, 2]
