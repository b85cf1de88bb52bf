"""``gpu-check`` where there is no GPU, and its steps on commands that hang or fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpures_lab import cli
from tests.gpu import check

if TYPE_CHECKING:
    import pytest


def test_without_a_gpu_it_exits_2_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: a report, or a zero, from a machine that has nothing to report on."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check.main(["--out", str(tmp_path / "out")]) == 2
    assert "no NVIDIA GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_step_that_hangs_is_one_row() -> None:
    """Would catch: one hang that loses the whole report."""
    hang = "import threading; print('begun', flush=True); threading.Event().wait()"
    step, out = check.run_step("hang", [sys.executable, "-c", hang], 3)
    assert step.outcome == "timed out"
    assert "begun" in out


def test_a_step_that_fails_keeps_its_words() -> None:
    """Would catch: a failure that nobody can read afterwards."""
    step, _ = check.run_step("fail", [sys.executable, "-c", "raise SystemExit('because')"], 30)
    assert (step.outcome, "because" in step.said) == ("failed", True)
    assert check.run_step("late", [sys.executable, "-c", ""], 0)[0].outcome == "no time left"


def test_a_skipped_gpu_test_is_a_failure(tmp_path: Path) -> None:
    """Would catch: a green report whose tests never ran."""
    folder = tmp_path / "t"
    folder.mkdir()
    body = "import pytest\ndef test_x():\n    pytest.skip('not here')\n"
    (folder / "test_x.py").write_text(body, encoding="utf-8")
    steps = check._pytest("skipping", [str(folder / "test_x.py")], 60, tmp_path)
    assert [s.outcome for s in steps if s.name == "skipping: test_x"] == ["failed"]


def test_the_report_lists_what_it_did_not_measure() -> None:
    """Would catch: a row of the promise that quietly disappears."""
    about = {"gpus": ["G"], "date": "d", "commit": "c"}
    text = check.to_markdown({"surroundings": about, "steps": [], "unmeasured": ["wide path"]})
    assert "- wide path" in text


def test_json_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Would catch: an option of the command that the check does not know."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["gpu-check", "--json"]) == 2
    assert "no NVIDIA GPU" in capfd.readouterr().err
