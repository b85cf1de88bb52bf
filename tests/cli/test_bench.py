"""``gpures-lab bench``: needs a clone, and hands its options on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from gpures_lab import cli

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_outside_a_clone_it_exits_2_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: an installed package that answers with a traceback."""
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "gpures_lab" / "cli.py"))
    assert cli.main(["bench"]) == 2
    captured = capsys.readouterr()
    assert "bench needs a clone" in captured.err
    assert captured.out == ""


def test_an_unknown_suite_exits_2_and_names_the_suites(tmp_path: Path) -> None:
    """Would catch: an option that is not handed on, a code that is lost, another folder's tests."""
    done = subprocess.run(
        [sys.executable, "-m", "gpures_lab", "bench", "rings"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 2
    assert "no suite rings; there are ring, memory, kernels, programs" in done.stderr
