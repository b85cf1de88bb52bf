"""``make gpu-check``: build, every GPU test, the sanitizer, every figure; one JSON, one Markdown.

No network, no Node, no Jupyter. Each step has its own limit, so that one hang costs one row. Exit
codes: 0 all passed and were measured; 1 something failed; 2 there is no GPU.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["Step", "main", "run_step", "to_markdown"]

ROOT = Path(__file__).parents[2]
WHOLE_S = 480
BUILD_S, TESTS_S, SHARED_S, SANITIZER_S, FIGURE_S = 180, 120, 100, 60, 30
# Rows of the promise that nothing here measures yet; the report lists them.
UNMEASURED = (
    "8 rings with 4 native posters",
    "1,024-float VectorAdd beside the amortized service time of Noop",
    "the classic loop on 4 grains and 4 rings",
)


@dataclass
class Step:
    """One line of the report."""

    name: str
    outcome: str  # passed, failed, timed out, absent, no time left
    seconds: float = 0.0
    said: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def run_step(
    name: str, command: list[str], limit_s: float, env: dict[str, str] | None = None
) -> tuple[Step, str]:
    """Run one command within its limit; also its standard output."""
    since = time.monotonic()
    if limit_s <= 0:
        return Step(name, "no time left"), ""
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
        os.killpg(process.pid, 9)
        out, _ = process.communicate()
        outcome = "timed out"
    said = "" if outcome == "passed" else out[-2000:]
    return Step(name, outcome, time.monotonic() - since, said), out


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
    end = time.monotonic() + WHOLE_S

    def limit(most: float) -> float:
        return min(most, end - time.monotonic())

    steps: list[Step] = []
    unmeasured = list(UNMEASURED)
    options.out.mkdir(parents=True, exist_ok=True)
    for command, name in _build_commands():
        steps.append(run_step(name, command, limit(BUILD_S))[0])
    if all(step.outcome == "passed" for step in steps):
        # First light and figures before what may hang: whatever time is left, these are in.
        steps += _pytest(
            "first light", ["tests/gpu/test_first_light.py"], limit(TESTS_S), options.out
        )
        for figure in _figures():
            step, out = run_step(
                f"figure {figure}",
                [sys.executable, "-m", "tests.gpu.figures", figure],
                limit(FIGURE_S),
            )
            if step.outcome == "passed":
                step.figures = json.loads(out.strip().splitlines()[-1])
            steps.append(step)
        steps += _pytest("streams", ["tests/gpu/test_streams.py"], limit(TESTS_S), options.out)
        steps += _pytest("hazards", ["tests/gpu/test_hazards.py"], limit(TESTS_S), options.out)
        sharing = ["tests/gpu/test_sharing.py"]
        if importlib.util.find_spec("torch") is None:
            sharing.append("--deselect=tests/gpu/test_sharing.py::test_torch_beside_the_ring")
            unmeasured.append("torch.cuda.synchronize() beside the ring: torch is not installed")
        steps += _pytest("sharing", sharing, limit(TESTS_S), options.out)
        steps.append(_sanitizer(limit(SANITIZER_S)))
        shared = [
            "--device",
            "cuda:0",
            "tests/grain/test_traffic.py",
            "tests/grain/test_lifecycle.py",
        ]
        shared += ["tests/grain/test_transfers.py", "tests/ring/test_completions.py"]
        steps += _pytest("shared tests", shared, limit(SHARED_S), options.out)
    report = {"surroundings": _surroundings(gpus), "steps": [asdict(s) for s in steps]}
    report["unmeasured"] = unmeasured
    stem = options.out / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"
    stem.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    text = to_markdown(report)
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if options.json else text)
    return int(any(step.outcome != "passed" for step in steps))


def _gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    step, out = run_step(
        "gpus", [program, "--query-gpu=name,driver_version", "--format=csv,noheader"], 20
    )
    return out.strip().splitlines() if step.outcome == "passed" else []


def _build_commands() -> list[tuple[list[str], str]]:
    folder = str(ROOT / "build" / "native")
    source = str(ROOT / "gpures_lab" / "_core")
    python = f"-DPython_EXECUTABLE={sys.executable}"
    cores = str(os.cpu_count() or 2)
    return [
        (["cmake", "-S", source, "-B", folder, python], "configure"),
        (["cmake", "--build", folder, "--parallel", cores], "build"),
        ([sys.executable, "-m", "gpures_lab", "status"], "status"),
    ]


def _figures() -> list[str]:
    from tests.gpu.figures import FIGURES

    return list(FIGURES)


def _pytest(name: str, arguments: list[str], limit_s: float, out: Path) -> list[Step]:
    """One step a test; tests that did not come to their end are named by the group's own step."""
    found = out / f".{name.replace(' ', '-')}.xml"
    step, _ = run_step(
        name,
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={found}",
            *arguments,
        ],
        limit_s,
        {"GPURES_REQUIRE_GPU": "1"},
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
    lines += ["", "Not measured by this command:", *(f"- {row}" for row in report["unmeasured"])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
