"""``gpu-check`` where there is no GPU, and its steps on commands that hang or fail."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gpures_lab import cli
from tests.gpu import check
from tests.gpu.figures import FIGURES


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
    text = check.to_markdown(
        {
            "surroundings": about,
            "steps": [],
            "not_reached": ["figure dma"],
            "unmeasured": ["wide path"],
        }
    )
    assert "- wide path" in text
    assert "- figure dma" in text


def _report(folder: Path) -> check.Report:
    about = {"gpus": ["G"], "date": "d", "commit": "c"}
    return check.Report(folder / "report", about, io.StringIO())


def _part(name: str, budget_s: float, clock: list[float], spent: float) -> check.Part:
    def run(limit_s: float) -> list[check.Step]:
        clock[0] += min(spent, limit_s)
        return [check.Step(name, "passed" if spent <= limit_s else "timed out", spent)]

    return check.Part(name, budget_s, run)


def test_a_part_has_its_budget_and_the_whole_its_limit(tmp_path: Path) -> None:
    """Would catch: one slow part that takes everybody's time, and rows lost without a word."""
    clock, report = [0.0], _report(tmp_path)
    parts = [
        _part("first", 30, clock, 10),
        _part("hangs", 30, clock, 1e9),
        _part("long", 200, clock, 50),
        _part("short", 8, clock, 5),
        _part("last", 30, clock, 5),
    ]
    check.run_parts(parts, report, 85, lambda: clock[0])
    assert clock[0] <= 85
    assert [(step.name, step.outcome) for step in report.steps] == [
        ("first", "passed"),
        ("hangs", "timed out"),
        ("short", "passed"),
        ("last", "passed"),
    ]
    assert report.not_reached == ["long"]
    assert not report.good


def test_a_run_that_is_cut_short_leaves_its_report(tmp_path: Path) -> None:
    """Would catch: a report that is written at the end only."""
    clock, report = [0.0], _report(tmp_path)

    def cut(_limit_s: float) -> list[check.Step]:
        raise KeyboardInterrupt

    parts = [_part("first", 30, clock, 10), check.Part("cut", 30, cut), _part("late", 1, clock, 1)]
    with pytest.raises(KeyboardInterrupt):
        check.run_parts(parts, report, 480, lambda: clock[0])
    found = json.loads((tmp_path / "report.json").read_text())
    assert [step["name"] for step in found["steps"]] == ["first"]
    assert found["not_reached"] == ["cut", "late"]
    assert "- late" in (tmp_path / "report.md").read_text()


def test_without_a_build_nothing_else_is_tried(tmp_path: Path) -> None:
    """Would catch: eight minutes of the same failure."""
    clock, report = [0.0], _report(tmp_path)
    build = check._command("build", 30, [sys.executable, "-c", "raise SystemExit(1)"])
    check.run_parts([build, _part("figure", 30, clock, 1)], report, 480, lambda: clock[0])
    assert [step.outcome for step in report.steps] == ["failed"]
    assert report.not_reached == ["figure"]


def test_a_group_that_hangs_names_its_test(tmp_path: Path) -> None:
    """Would catch: a hang whose test nobody can name, and the passed ones lost with it."""
    body = (
        "import threading\ndef test_good(): pass\ndef test_stays():\n    threading.Event().wait()\n"
    )
    (tmp_path / "test_y.py").write_text(body, encoding="utf-8")
    steps = check._pytest("hanging", [str(tmp_path / "test_y.py")], 15, tmp_path)
    assert [(s.name, s.outcome) for s in steps] == [
        ("hanging", "timed out"),
        ("hanging: test_good", "passed"),
        ("hanging: test_stays", "timed out"),
    ]


def test_everything_there_is_has_a_part(tmp_path: Path) -> None:
    """Would catch: a figure or a file of GPU tests that the command forgets."""
    names = [part.name for part in check.parts_of(tmp_path)]
    assert len(set(names)) == len(names)
    assert {f"figure {name}" for name in FIGURES} <= set(names)
    files = {path.stem.removeprefix("test_") for path in Path(check.__file__).parent.glob("test_*")}
    assert {name.replace("_", " ") for name in files} <= set(names)


def test_json_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Would catch: an option of the command that the check does not know."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["gpu-check", "--json"]) == 2
    assert "no NVIDIA GPU" in capfd.readouterr().err
