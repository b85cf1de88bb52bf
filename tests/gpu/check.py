"""``make gpu-check``: build, every GPU test, the sanitizer, every figure; one JSON, one Markdown.

No network, no Node, no Jupyter. Each part has a budget, so that one hang costs one row, and the
parts stand in the order of their worth: what the time does not reach is named at the end, the most
wanted first. The report is written again after each part, so a run that is cut short leaves what it
found. Exit codes: 0 all passed and were measured; 1 something failed or was not reached; 2 there is
no GPU.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

__all__ = ["Part", "Report", "Step", "main", "run_parts", "run_step", "to_markdown"]

ROOT = Path(__file__).parents[2]
WHOLE_S = 480
FIGURE_S = 25
# Figures that take longer: processes of their own, waits that are the measurement, many sizes.
LONG_FIGURES_S = {"poll_variants": 60, "idle_exit": 35, "dma": 40, "wide": 40, "cost_to_others": 40}


@dataclass
class Step:
    """One line of the report."""

    name: str
    outcome: str  # passed, failed, timed out, absent, not reached
    seconds: float = 0.0
    said: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Something with a budget; gives its steps within the seconds it is told.

    Attributes
    ----------
    vital
        Without it none of the others can run.
    """

    name: str
    budget_s: float
    run: Callable[[float], list[Step]]
    vital: bool = False


@dataclass
class Report:
    """What is known so far, on disk after every step."""

    stem: Path
    surroundings: dict[str, Any]
    told: TextIO
    steps: list[Step] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)

    def add(self, steps: Sequence[Step]) -> None:
        """Keep, write and tell them."""
        self.steps += steps
        for step in steps:
            self.told.write(f"{step.outcome:>11}  {step.seconds:6.1f} s  {step.name}\n")
        self.told.flush()
        self.write()

    def write(self) -> None:
        """JSON and Markdown, each whole or as it was before."""
        for suffix, text in (
            (".json", json.dumps(self.as_dict(), indent=2) + "\n"),
            (".md", to_markdown(self.as_dict())),
        ):
            partial = self.stem.with_suffix(suffix + ".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(self.stem.with_suffix(suffix))

    def as_dict(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return {
            "surroundings": self.surroundings,
            "steps": [asdict(step) for step in self.steps],
            "not_reached": self.not_reached,
            "unmeasured": self.unmeasured,
        }

    @property
    def good(self) -> bool:
        """Whether all passed and nothing was left."""
        return not self.not_reached and all(step.outcome == "passed" for step in self.steps)


def run_parts(
    parts: Sequence[Part],
    report: Report,
    whole_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run what the time allows, in order; a part gets its budget or what is left of the whole.

    A part that would get less than a quarter of its budget is left out, so that later, shorter ones
    are reached.
    """
    end = clock() + whole_s
    report.not_reached = [part.name for part in parts]
    report.write()
    for part in parts:
        left = end - clock()
        if left < part.budget_s / 4:
            continue
        found = part.run(min(part.budget_s, left))
        report.not_reached.remove(part.name)
        report.add(found)
        if part.vital and any(step.outcome != "passed" for step in found):
            break
    report.write()


def run_step(
    name: str, command: list[str], limit_s: float, env: dict[str, str] | None = None
) -> tuple[Step, str]:
    """Run one command within its limit; also its standard output."""
    since = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
        start_new_session=True,  # so that what it started goes with it
    )
    try:
        out, _ = process.communicate(timeout=limit_s)
        outcome = "passed" if process.returncode == 0 else "failed"
    except subprocess.TimeoutExpired:
        out, outcome = _end(process), "timed out"
    except BaseException:  # Ctrl-C: what runs goes too
        _end(process)
        raise
    said = "" if outcome == "passed" else out[-2000:]
    return Step(name, outcome, time.monotonic() - since, said), out


def _end(process: subprocess.Popen[str]) -> str:
    os.killpg(process.pid, 9)
    return process.communicate()[0]


def main(arguments: list[str] | None = None) -> int:
    """Run everything that the time allows, write the report, print a short table."""
    parser = argparse.ArgumentParser(prog="gpures-lab gpu-check", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "gpu_reports", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    gpus = _gpus()
    if not gpus:
        sys.stderr.write("gpu-check: no NVIDIA GPU: nvidia-smi is missing or lists none\n")
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    report = Report(
        options.out / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}",
        _surroundings(gpus),
        sys.stderr if options.json else sys.stdout,
    )
    if importlib.util.find_spec("torch") is None:
        report.unmeasured.append("torch.cuda.synchronize() beside the ring: torch is not installed")
    run_parts(parts_of(options.out), report, WHOLE_S)
    found = report.as_dict()
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if options.json else to_markdown(found))
    return int(not report.good)


def parts_of(out: Path) -> list[Part]:
    """Return everything there is to run, the most wanted first."""

    def tests(name: str, budget_s: float, *arguments: str) -> Part:
        return Part(name, budget_s, lambda limit_s: _pytest(name, list(arguments), limit_s, out))

    sharing = ["tests/gpu/test_sharing.py"]
    if importlib.util.find_spec("torch") is None:
        sharing.append("--deselect=tests/gpu/test_sharing.py::test_torch_beside_the_ring")
    shared = ["tests/grain/test_traffic.py", "tests/grain/test_lifecycle.py"]
    shared += ["tests/grain/test_transfers.py", "tests/ring/test_completions.py"]
    figures = [_figure(name) for name in _figures()]
    return [
        *(_command(name, budget_s, command) for name, budget_s, command in _build_commands()),
        # First light and the first figures before what may hang: whatever comes, these are in.
        tests("first light", 60, "tests/gpu/test_first_light.py"),
        *figures[:6],
        tests("hazards", 90, "tests/gpu/test_hazards.py"),
        *figures[6:12],
        tests("streams", 40, "tests/gpu/test_streams.py"),
        tests("sharing", 90, *sharing),
        *figures[12:],
        Part("compute-sanitizer", 60, lambda limit_s: [_sanitizer(limit_s)]),
        tests("shared tests", 90, "--device", "cuda:0", *shared),
    ]


def _command(name: str, budget_s: float, command: list[str]) -> Part:
    return Part(name, budget_s, lambda limit_s: [run_step(name, command, limit_s)[0]], vital=True)


def _figure(figure: str) -> Part:
    name = f"figure {figure}"

    def run(limit_s: float) -> list[Step]:
        step, out = run_step(name, [sys.executable, "-m", "tests.gpu.figures", figure], limit_s)
        if step.outcome == "passed":
            step.figures = json.loads(out.strip().splitlines()[-1])
        return [step]

    return Part(name, LONG_FIGURES_S.get(figure, FIGURE_S), run)


def _gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    step, out = run_step(
        "gpus", [program, "--query-gpu=name,driver_version", "--format=csv,noheader"], 20
    )
    return out.strip().splitlines() if step.outcome == "passed" else []


def _build_commands() -> list[tuple[str, float, list[str]]]:
    folder = str(ROOT / "build" / "native")
    source = str(ROOT / "gpures_lab" / "_core")
    python = f"-DPython_EXECUTABLE={sys.executable}"
    cores = str(os.cpu_count() or 2)
    return [
        ("configure", 30, ["cmake", "-S", source, "-B", folder, python]),
        ("build", 180, ["cmake", "--build", folder, "--parallel", cores]),
        ("status", 30, [sys.executable, "-m", "gpures_lab", "status"]),
    ]


def _figures() -> list[str]:
    from tests.gpu.figures import FIGURES

    return list(FIGURES)


def _pytest(name: str, arguments: list[str], limit_s: float, out: Path) -> list[Step]:
    """One step a test; tests that did not come to their end are named by the group's own step."""
    found = out / f".{name.replace(' ', '-')}.xml"
    step, out_text = run_step(
        name,
        [
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-p",
            "no:cacheprovider",
            f"--junitxml={found}",
            *arguments,
        ],
        limit_s,
        {"GPURES_REQUIRE_GPU": "1", "PYTHONUNBUFFERED": "1"},
    )
    steps = [step]
    if found.is_file():
        for case in ET.parse(found).iter("testcase"):  # noqa: S314 - our own file
            bad = [child for child in case if child.tag in {"failure", "error", "skipped"}]
            said = bad[0].get("message", "")[:500] if bad else ""
            outcome = "failed" if bad else "passed"  # a skip is a failure here
            seconds = float(case.get("time", "0"))
            steps.append(Step(f"{name}: {case.get('name')}", outcome, seconds, said))
        found.unlink()
    else:
        steps += told_tests(name, out_text)
    return steps


def told_tests(name: str, told: str) -> list[Step]:
    """Steps of a run that was ended: what it had told of each test, and the one it was in."""
    begun = re.findall(
        r"^(\S+?::\S.*?)(?: (PASSED|FAILED|ERROR|SKIPPED)\b.*)?$", told, re.MULTILINE
    )
    steps = []
    for test, said in begun:
        case = f"{name}: {test.rpartition('::')[2].strip()}"
        outcome = {"PASSED": "passed", "": "timed out"}.get(said, "failed")
        steps.append(Step(case, outcome))
    return steps


def _sanitizer(limit_s: float) -> Step:
    program = shutil.which("compute-sanitizer")
    if program is None:
        return Step("compute-sanitizer", "absent", said="not on PATH: comes with the CUDA toolkit")
    code = (
        "import gpures_lab as gl\n"
        "lab = gl.GrainManager(device='cuda:0', ring=gl.RingOptions(linger_us=0), stall_s=60)\n"
        "x = lab.grain().allocate(1024); x.write(2)\n"
        "lab.grain().compute('kernels/VectorAdd', inputs=[x, x], outputs=[x]).result(50)\n"
        "assert (x.read().result(50) == 4).all()\n"
        "lab.close()"
    )
    command = [program, "--error-exitcode", "9", sys.executable, "-c", code]
    return run_step("compute-sanitizer", command, limit_s)[0]


def _surroundings(gpus: list[str]) -> dict[str, Any]:
    commit, out = run_step("commit", ["git", "rev-parse", "HEAD"], 10)
    packages = {}
    for name in ("cupy-cuda13x", "cupy-cuda12x", "numba", "numba-cuda", "cuda-bindings", "numpy"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "gpus": gpus,
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "commit": out.strip() if commit.outcome == "passed" else "unknown",
        "python": sys.version.split()[0],
        "packages": packages,
    }


def to_markdown(report: dict[str, Any]) -> str:
    """Return the report as people read it."""
    about = report["surroundings"]
    lines = ["# GPU check", "", f"{'; '.join(about['gpus'])} · {about['date']} · {about['commit']}"]
    lines += ["", "| step | outcome | s | said |", "|---|---|---|---|"]
    for step in report["steps"]:
        said = json.dumps(step["figures"]) if step["figures"] else step["said"][-300:]
        said = " ".join(said.split()).replace("|", "/")
        lines.append(f"| {step['name']} | {step['outcome']} | {step['seconds']:.1f} | {said} |")
    for heading, rows in (
        (f"Not reached within {WHOLE_S} s, the most wanted first:", report["not_reached"]),
        ("Not measured by this command:", report["unmeasured"]),
    ):
        if rows:
            lines += ["", heading, "", *(f"- {row}" for row in rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
