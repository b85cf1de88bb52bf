"""``gpures-lab bench``: needs a clone, and hands its options on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpures_lab import cli

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--html", "{folder}/no/report.html"], "--html {folder}/no/report.html cannot be written"),
        (["--html", "{folder}"], "--html {folder} cannot be written: Is a directory"),
        (["--rivals", "{folder}/python"], "--rivals {folder}/python: there is no such program"),
    ],
)
def test_what_cannot_be_written_or_run_is_said_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    """Catches minutes of figures that end in a traceback."""
    from tests.benchmarks import __main__ as command

    def built() -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr(command, "build", built)
    given = [each.format(folder=tmp_path) for each in arguments]
    monkeypatch.setattr(sys, "argv", ["bench", *given])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == 2
    assert words.format(folder=tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
