"""The end of a cell says what failed and nobody looked at."""

from __future__ import annotations

from typing import Any

import pytest

import gpures_lab as gl
from tests.magics.shells import Notebook, bare_shell, notebook

__all__ = ["bare_shell", "notebook"]

BAD = """%%grain_compute --noblock --into c
z[i] = x[i + 1]
"""


@pytest.fixture
def told(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> Notebook:
    notebook("%grain_alloc x 8 --fill 1")
    notebook("%grain_alloc z --like x")
    capsys.readouterr()
    return notebook


def test_a_cell_says_in_one_line_what_failed(
    told: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong result that the next cell goes on with, without a word."""
    told(BAD)
    capsys.readouterr()  # by its end the message may or may not have been answered
    told(BAD)
    told("gl_ping = c.grain.ping().result()")
    said = capsys.readouterr().err
    assert "failed and nobody looked at" in said
    assert "grain 'notebook', OutOfBounds: request " in said
    assert said.count("request") == said.count("OutOfBounds: request") + said.count("also request")
    told("1 + 1")
    assert "nobody looked" not in capsys.readouterr().err


def test_what_was_looked_at_is_not_said(told: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure that is told twice: as the cell's error, and under it."""
    error = told.refused("%%grain_compute\nz[i] = x[i + 1]")
    assert "flat index" in str(error)
    assert "nobody looked" not in capsys.readouterr().err
    told("%%grain_compute --noblock --into c\nz[i] = x[i + 1]\n")
    capsys.readouterr()
    told("c.exception()")
    told("1")
    assert gl.manager().metrics().unobserved_failures == 0


def test_unloading_takes_it_away(told: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """A callback that an extension leaves in the shell."""
    told("%reload_ext gpures_lab")
    assert sum(each.__name__ == "say_unseen" for each in callbacks(told)) == 1
    told("%unload_ext gpures_lab")
    assert not any(each.__name__ == "say_unseen" for each in callbacks(told))


def callbacks(shell: Notebook) -> list[Any]:
    return list(shell.shell.events.callbacks["post_run_cell"])
