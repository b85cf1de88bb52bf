"""``gpu-check`` where there is no GPU, and its steps on commands that hang or fail."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpures_lab import cli
from tests.gpu import check, groups, needs, report, rows, steps
from tests.gpu.names import FIGURES


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
    step, out = steps.run_step("hang", [sys.executable, "-c", hang], 3)
    assert step.outcome == "timed out"
    assert "begun" in out


def test_a_step_that_fails_keeps_its_words() -> None:
    """Would catch: a failure that nobody can read afterwards."""
    step, _ = steps.run_step("fail", [sys.executable, "-c", "raise SystemExit('because')"], 30)
    assert (step.outcome, "because" in step.said) == ("failed", True)


def test_a_skipped_gpu_test_is_a_failure(tmp_path: Path) -> None:
    """Would catch: a green report whose tests never ran."""
    folder = tmp_path / "t"
    folder.mkdir()
    body = "import pytest\ndef test_x():\n    pytest.skip('not here')\n"
    (folder / "test_x.py").write_text(body, encoding="utf-8")
    found = groups.run_tests("skipping", [str(folder / "test_x.py")], 60)
    assert [(s.name, s.outcome) for s in found] == [
        ("skipping", "failed"),
        ("skipping: test_x", "failed"),
    ]
    assert "not here" in found[1].said


def test_the_report_lists_what_it_did_not_measure() -> None:
    """Would catch: a row of the promise that quietly disappears."""
    about = {"gpus": ["G"], "date": "d", "commit": "c"}
    text = report.to_markdown(
        {
            "surroundings": about,
            "rows": rows.verdicts({}),
            "steps": [],
            "not_reached": ["figure dma"],
            "unmeasured": ["wide path"],
        }
    )
    assert "- wide path" in text
    assert "- figure dma" in text


def _report(folder: Path) -> report.Report:
    about = {"gpus": ["G"], "date": "d", "commit": "c"}
    return report.Report(folder / "report", about, io.StringIO())


def _part(name: str, budget_s: float, clock: list[float], spent: float) -> check.Part:
    def run(limit_s: float) -> list[steps.Step]:
        clock[0] += min(spent, limit_s)
        return [steps.Step(name, "passed" if spent <= limit_s else "timed out", spent)]

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

    def cut(_limit_s: float) -> list[steps.Step]:
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


HANGS = """
import os, threading
def test_good(): pass
def test_stays(): threading.Event().wait()
def test_stays_but_not_this_one(): pass
def test_wrong(): assert 2 + 2 == 5
def test_crashes(): os.abort()
def test_last(): pass
"""


def test_no_test_takes_the_others_with_it(tmp_path: Path) -> None:
    """Would catch: a hang, a failure or a crash after which nothing of its group is known."""
    (tmp_path / "test_y.py").write_text(HANGS, encoding="utf-8")
    found = groups.run_tests("group", [str(tmp_path / "test_y.py")], 120, hang_after_s=5)
    assert [(s.name, s.outcome) for s in found] == [
        ("group", "failed"),
        ("group: test_good", "passed"),
        ("group: test_stays", "timed out"),
        ("group: test_stays_but_not_this_one", "passed"),
        ("group: test_wrong", "failed"),
        ("group: test_crashes", "failed"),
        ("group: test_last", "passed"),
    ]
    assert "in test_stays" in found[2].said  # its stack
    assert "2 + 2" in found[4].said
    assert "no open manager" in found[4].said
    assert "Aborted" in found[5].said


def test_a_group_whose_time_is_over_names_the_rest(tmp_path: Path) -> None:
    """Would catch: tests of which the report says nothing, as if there were none."""
    (tmp_path / "test_y.py").write_text(HANGS, encoding="utf-8")
    found = groups.run_tests("group", [str(tmp_path / "test_y.py")], 20)
    assert [(s.name.removeprefix("group: "), s.outcome) for s in found[:4]] == [
        ("group", "timed out"),
        ("test_good", "passed"),
        ("test_stays", "timed out"),
        ("test_stays_but_not_this_one", "not reached"),
    ]
    assert "in test_stays" in found[2].said


def test_a_file_that_cannot_be_imported_is_a_row(tmp_path: Path) -> None:
    """Would catch: tests that are gone for want of a package, and a report that does not say so."""
    (tmp_path / "test_a.py").write_text("import not_installed_here\n", encoding="utf-8")
    (tmp_path / "test_b.py").write_text("def test_good(): pass\n", encoding="utf-8")
    found = groups.run_tests("group", [str(tmp_path)], 60)
    assert [(s.name, s.outcome) for s in found] == [
        ("group", "failed"),
        ("group: test_a.py", "failed"),
        ("group: test_good", "passed"),
    ]
    assert "not_installed_here" in found[1].said


def test_everything_there_is_has_a_part() -> None:
    """Would catch: a figure or a file of GPU tests that the command forgets."""
    names = [part.name for part in check.parts_of()]
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


def test_a_part_that_raises_is_a_row(tmp_path: Path) -> None:
    """Would catch: one answer that cannot be read, and the whole run lost."""
    clock, told = [0.0], _report(tmp_path)

    def broken(_limit_s: float) -> list[steps.Step]:
        raise ValueError("no JSON")

    parts = [check.Part("broken", 30, broken), _part("next", 30, clock, 1)]
    check.run_parts(parts, told, 480, lambda: clock[0])
    assert [step.outcome for step in told.steps] == ["failed", "passed"]
    assert "no JSON" in told.steps[0].said


def test_a_device_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    """Would catch: eight minutes of the same error, and no row that says where it began."""
    clock, told = [0.0], _report(tmp_path)
    parts = [_part("hangs", 30, clock, 1e9), _part("next", 30, clock, 1)]

    def look(after: str) -> list[steps.Step]:
        return [steps.Step(f"the device after {after}", "failed")]

    check.run_parts(parts, told, 480, lambda: clock[0], look)
    assert [step.name for step in told.steps] == ["hangs", "the device after hangs"]
    assert told.not_reached == ["next"]


def test_what_a_process_left_goes_with_it() -> None:
    """Would catch: a check that waits for the output of a process that nobody ended."""
    leave = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)"
    step, _ = steps.run_step("leaves", [sys.executable, "-c", leave], 30)
    assert step.outcome == "passed"


def test_a_hang_says_where() -> None:
    """Would catch: a figure that was ended, and nobody knows what it waited for."""
    hang = "import threading\ndef stays_here(): threading.Event().wait()\nstays_here()"
    step, _ = steps.run_step("hang", [sys.executable, "-c", hang], 3)
    assert "stays_here" in step.said


def test_a_command_that_is_not_there_is_a_row() -> None:
    """Would catch: a traceback instead of a report where cmake is missing."""
    step, _ = steps.run_step("tool", ["no-such-tool-anywhere"], 3)
    assert (step.outcome, "no-such-tool-anywhere" in step.said) == ("failed", True)


def test_figures_are_read_past_what_others_print() -> None:
    """Would catch: a row that is lost to a line of some library's at exit."""
    assert check._figures_in('{"a": 1}\n{"a": 1, "b": 2}\nException ignored in: x\n7\n') == {
        "a": 1,
        "b": 2,
    }
    assert check._figures_in("nothing") == {}


def test_rows_say_kept_missed_or_not_measured() -> None:
    """Would catch: a miss that is printed as if nothing had been promised."""
    span: dict[str, object] = {"p50_ns": 2_000.0, "p99_ns": 2_500.0, "max_ns": 9_000.0}
    floors = {"flag": span, "slot": span, "void": False}
    found = {
        "figure floors": floors,
        "figure noop_native": {**span, "p50_ns": 3_000.0},
        "figure noop_python": {**span, "p50_ns": 6_100.0},
        "figure idle_exit": {"exit": {"max_ns": float("nan")}, "launches_in_10_s": 0},
    }
    told = {row["what"]: row for row in rows.verdicts(found)}
    verdicts = {what: row["verdict"] for what, row in told.items()}
    assert verdicts["Noop post + wait, native, over the slot floor"] == "kept"
    assert verdicts["the same from Python"] == "missed"
    assert verdicts["the same from Python, over the bare flag"] == "kept"
    assert verdicts["idle: the ring is out, at the latest"] == "missed"
    assert verdicts["idle: launches in the next 10 s"] == "kept"
    assert verdicts["4 KiB write, pipelined"] == "not measured"
    floors["void"] = True
    assert all(row["verdict"].startswith("void") for row in rows.verdicts(found))


def test_a_missing_package_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a traceback where the name of a wheel would do."""
    there = needs._is_there
    monkeypatch.setattr(needs, "_is_there", lambda name: name != "nanobind" and there(name))
    step = needs.missing(60)
    assert step.outcome == "failed"
    assert "nanobind is missing: pip install nanobind" in step.said


def test_the_toolkit_is_found(tmp_path: Path) -> None:
    """Would catch: no kernel in Python on a machine that has all it needs under another name."""
    (tmp_path / "cuda-13.0" / "nvvm" / "libdevice").mkdir(parents=True)
    environ = {"PATH": ""}
    needs.toolkit(environ, tmp_path)
    assert environ["CUDA_HOME"] == str(tmp_path / "cuda-13.0")
    given = {"PATH": "", "CUDA_PATH": "elsewhere"}
    needs.toolkit(given, tmp_path)
    assert given == {"PATH": "", "CUDA_PATH": "elsewhere"}


def test_parts_can_be_asked_for() -> None:
    """Would catch: a short call that leaves out the build, or runs more than was asked for."""
    names = [part.name for part in check.parts_of(["figure noop", "streams"])]
    assert names == [
        *("packages", "configure", "build", "status"),
        *("figure noop_native", "figure noop_python", "streams"),
    ]


def test_what_is_the_hosts_is_left_out_of_the_shared_tests() -> None:
    """Would catch: a latch, whose kernel only a host can run, in a test that a GPU is given."""
    for name in check.SHARED:
        text = (steps.ROOT / name).read_text(encoding="utf-8")
        held = [part for part in text.split("\ndef ") if "= Latch(" in part]
        assert {part.partition("(")[0] for part in held} <= set(check.HOSTS), name


BARE = """
import sys
sys.modules["gpures_lab._core._native"] = None
from tests.gpu import check
print(len(check.parts_of()))
"""


def test_it_begins_before_anything_is_built(tmp_path: Path) -> None:
    """Would catch: an import of what is to be built, or of other people's package of this name."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", BARE],
        cwd=steps.ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > len(FIGURES)


@pytest.mark.parametrize(
    ("prints", "outcome"),
    [
        ("========= ERROR SUMMARY: 0 errors", "passed"),
        ("========= ERROR SUMMARY: 0 errors >&2", "passed"),
        ("Device not supported", "failed"),
    ],
)
def test_a_sanitizer_that_saw_nothing_is_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, outcome: str
) -> None:
    """Would catch: a tool that refuses the device, or that nobody ran, taken for a clean run."""
    program = tmp_path / "compute-sanitizer"
    program.write_text(f"#!/bin/sh\necho {prints}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check._sanitizer(30).outcome == outcome
