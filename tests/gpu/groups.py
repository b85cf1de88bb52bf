"""Groups of tests: one step a test, whatever becomes of the process that it runs in."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.gpu.steps import Step, clipped, portable, run_step

__all__ = ["run_tests"]

HANG_AFTER_S = 45.0  # beyond every wait that a test itself makes
LEAST_S = 8.0  # no process of tests is begun with less
# Other versions of other people's packages warn of other things; what was lost on a thread counts.
WARNINGS = (
    "default",
    "error::pytest.PytestUnhandledThreadExceptionWarning",
    "error::pytest.PytestUnraisableExceptionWarning",
)


def run_tests(
    name: str, arguments: Sequence[str], limit_s: float, hang_after_s: float = HANG_AFTER_S
) -> list[Step]:
    """One step for the group, then one a test; what was not reached is named too."""
    since = time.monotonic()
    ended: dict[str, Step] = {}
    collected: list[str] = []
    whole = Step(name, "passed")
    while True:
        left = limit_s - (time.monotonic() - since)
        if left < LEAST_S and ended:
            break
        with tempfile.TemporaryDirectory() as folder:
            journal, done = Path(folder) / "journal", Path(folder) / "done"
            done.write_text("\n".join(ended), encoding="utf-8")
            command = _command(arguments, journal, done, hang_after_s)
            step, _ = run_step(name, command, left, _ENVIRONMENT)
            lines = journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []
        found, names = _read(lines, step)
        collected = collected or names
        if step.outcome == "passed" or not found.keys() - ended.keys():
            whole = step
            break
        ended |= found
        if step.outcome == "timed out":
            whole.outcome = "timed out"
        if step.outcome == "timed out" or set(collected) <= set(ended):
            break
    ended |= found
    steps = [_named(name, test, step) for test, step in ended.items()]
    steps += [
        Step(f"{name}: {_short(test)}", "not reached") for test in collected if test not in ended
    ]
    worst = {step.outcome for step in steps} - {"passed"}
    if worst and whole.outcome == "passed":
        whole.outcome = "failed"
    if not steps and whole.outcome == "passed":
        whole.outcome, whole.said = "failed", "no test ran"
    whole.seconds = time.monotonic() - since
    return [whole, *steps]


_ENVIRONMENT = {
    "GPURES_REQUIRE_GPU": "1",
    # What else is installed there must not take part.
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}


def _command(arguments: Sequence[str], journal: Path, done: Path, hang_after_s: float) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "tests.gpu.journal", f"--journal={journal}", f"--done={done}"]
    command += [f"--hang-after={hang_after_s}", "--continue-on-collection-errors"]
    return [*command, *(f"-W{each}" for each in WARNINGS), *arguments]


def _read(lines: Sequence[str], process: Step) -> tuple[dict[str, Step], list[str]]:
    """Steps by test, and what the process had collected."""
    found: dict[str, Step] = {}
    collected: list[str] = []
    for line in lines:
        told: dict[str, Any] = json.loads(line)
        collected = told.get("collected", collected)
        if "test" in told:
            said = portable(clipped(told.get("said", "")))
            found[told["test"]] = Step(
                told["test"], told["outcome"], told.get("seconds", 0.0), said
            )
    for step in found.values():
        if step.outcome == "begun":  # and the process with it
            step.outcome = "timed out" if process.outcome == "timed out" else "failed"
            step.said = process.said
    return found, collected


def _named(group: str, test: str, step: Step) -> Step:
    return Step(f"{group}: {_short(test)}", step.outcome, step.seconds, step.said)


def _short(test: str) -> str:
    return test.rpartition("::")[2] or test
