"""``gpures-lab compile-check``: bad arguments are said before anything compiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpures_lab import cli
from gpures_lab.errors import DriverUnavailable
from gpures_lab.kernels.cuda import check

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile nothing: whoever asks for it has looked too late."""

    def refuse(*_given: object, **_named: object) -> object:
        raise AssertionError("something was compiled")

    for name in ("compile_device", "compile_library", "link_image"):
        monkeypatch.setattr(check, name, refuse)


@pytest.mark.parametrize("given", ["", ",", " , "])
def test_no_architecture(capsys: pytest.CaptureFixture[str], given: str) -> None:
    """Catches a traceback from the least of no architectures."""
    assert cli.main(["compile-check", "--arch", given]) == cli.COULD_NOT_RUN
    captured = capsys.readouterr()
    assert "--arch names no architecture: give one, as sm_90" in captured.err
    assert captured.out == ""


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Catches minutes of compiling that end in 1 because a path was mistyped."""
    for path in (tmp_path / "no.py", tmp_path):
        assert cli.main(["compile-check", "--kernel", str(path)]) == cli.COULD_NOT_RUN
        captured = capsys.readouterr()
        assert f"--kernel {path}: " in captured.err
        assert captured.out == ""


def test_an_architecture_that_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches the head of a table that never comes."""

    def unknown(arch: str) -> int:
        raise DriverUnavailable(f"no code can be made for {arch}")

    monkeypatch.setattr(check, "check_arch", unknown)
    assert cli.main(["compile-check", "--arch", "sm_1"]) == cli.COULD_NOT_RUN
    captured = capsys.readouterr()
    assert "no code can be made for sm_1" in captured.err
    assert captured.out == ""


def test_a_file_that_fails_is_a_row(tmp_path: Path) -> None:
    """Catches a traceback of the user's own NameError, and an exit of his own."""
    for text, words in (
        ("x = y\n", "NameError: name 'y'"),
        ("raise SystemExit(3)\n", "SystemExit"),
    ):
        file = tmp_path / "mine.py"
        file.write_text(text)
        rows = [row for row in check._user_kernels([file], samples=()) if row[0] == "mine.py"]
        assert len(rows) == 1
        assert words in str(rows[0][2])
