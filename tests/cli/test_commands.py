"""``gpures-lab status`` and ``tutorials``, help and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpures_lab import cli, diagnosis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Quickstart = Callable[..., Path]

USABLE = diagnosis.Status(findings=(diagnosis.Finding("python", "3.11.7"),), usable=True)
BROKEN = diagnosis.Status(
    findings=(diagnosis.Finding("native module", "missing", "make demo"),), usable=False
)


@pytest.mark.parametrize(("found", "code"), [(USABLE, 0), (BROKEN, 1)], ids=["usable", "broken"])
def test_status_prints_and_its_code_means_something(
    found: diagnosis.Status,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Would catch: a broken installation that exits 0."""
    monkeypatch.setattr(diagnosis, "status", lambda: found)
    assert cli.main(["status"]) == code
    assert capsys.readouterr().out == f"{found!r}\n"
    assert cli.main(["status", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == found.to_json()


def test_tutorials_copies_every_notebook(
    quickstart: Quickstart, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = quickstart("1 + 1")
    (source / ".ipynb_checkpoints").mkdir()
    target = tmp_path / "not" / "there yet"
    assert cli.main(["tutorials", str(target)]) == 0
    assert sorted(path.name for path in target.iterdir()) == [
        "01_quickstart.ipynb",
        "02_more.ipynb",
    ]
    for copied in target.iterdir():
        assert copied.read_bytes() == (source / copied.name).read_bytes()
        assert str(copied) in capsys.readouterr().out or copied.name != "01_quickstart.ipynb"


def test_tutorials_overwrites_only_when_told(
    quickstart: Quickstart, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: a user's edited notebook lost, or half of them copied before the refusal."""
    source = quickstart("1 + 1")
    target = tmp_path / "mine"
    target.mkdir()
    edited = target / "02_more.ipynb"
    edited.write_text("edited", encoding="utf-8")
    assert cli.main(["tutorials", str(target)]) == 2
    assert "02_more.ipynb; nothing was copied" in capsys.readouterr().err
    assert [path.name for path in target.iterdir()] == ["02_more.ipynb"]
    assert edited.read_text(encoding="utf-8") == "edited"
    assert cli.main(["tutorials", str(target), "--force"]) == 0
    assert edited.read_bytes() == (source / "02_more.ipynb").read_bytes()


def test_tutorials_into_a_file_says_what_is_wrong(
    quickstart: Quickstart, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quickstart("1 + 1")
    (tmp_path / "file").touch()
    assert cli.main(["tutorials", str(tmp_path / "file")]) == 2
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "storage", "bench", "demo", "tutorials"])
def test_help_has_examples_and_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  gpures-lab {command}" in text
    assert "exit codes: 0 all well; 1 it ran and the answer is bad; 2 it could not run" in text


@pytest.mark.parametrize("arguments", [[], ["dance"], ["tutorials"]], ids=str)
def test_bad_arguments_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: gpures-lab" in capsys.readouterr().err


def test_python_dash_m_is_the_same_command() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "gpures_lab", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stdout.startswith("usage: gpures-lab")


def test_a_reader_that_stops_reading_is_no_crash() -> None:
    """Would catch: a traceback at the end of `gpures-lab status | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "gpures_lab", "status"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (answer.returncode, answer.stderr) == (1, "")


def test_the_version_is_the_installations(capsys: pytest.CaptureFixture[str]) -> None:
    """Would catch: a second place that says it."""
    import gpures_lab

    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"gpures-lab {gpures_lab.__version__}\n"


def test_the_help_of_bench_names_every_suite(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.benchmarks.suites import SUITES

    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"{', '.join(list(SUITES)[:-1])} or {list(SUITES)[-1]};" in said
