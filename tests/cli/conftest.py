"""Notebooks of the tests' own, in place of the packaged ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpures_lab import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that makes a folder whose quickstart has the given code cells."""
    nbformat = pytest.importorskip("nbformat")

    def make(*cells: str) -> Path:
        folder = tmp_path / "notebooks"
        folder.mkdir()
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nbformat.write(notebook, folder / "01_quickstart.ipynb")
        (folder / "02_more.ipynb").write_text("{}", encoding="utf-8")
        monkeypatch.setattr(cli, "_notebooks", lambda: folder)
        return folder

    return make
