"""A notebook's shell in this process, without a kernel."""

from __future__ import annotations

import atexit
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import gpures_lab as gl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Notebook", "bare_shell", "notebook"]


class Notebook:
    """Runs cells; a cell that fails fails the test."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.names: dict[str, Any] = shell.user_ns

    def __call__(self, cell: str) -> Any:
        """Value of the cell."""
        result = self.shell.run_cell(cell)
        result.raise_error()
        return result.result

    def refused(self, cell: str) -> BaseException:
        """Return the error of the cell."""
        result = self.shell.run_cell(cell)
        error: BaseException | None = result.error_in_exec or result.error_before_exec
        assert error is not None, f"{cell} was accepted"
        return error


@pytest.fixture
def bare_shell(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """Return a shell without the extension."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    # A shell puts its own module there, and a reset empties it.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False  # no thread, no file
    shell = InteractiveShell.instance(colors="nocolor", config=config)
    yield Notebook(shell)
    # Else every shell of the session lives until exit, and collects garbage there.
    atexit.unregister(shell.atexit_operations)
    shell.reset(new_session=False)
    InteractiveShell.clear_instance()


@pytest.fixture
def notebook(bare_shell: Notebook) -> Iterator[Notebook]:
    """Return a shell with the extension, and a manager of its own."""
    gl.manager().close()
    bare_shell.names["np"] = np
    bare_shell("%load_ext gpures_lab")
    yield bare_shell
    gl.manager().close()
