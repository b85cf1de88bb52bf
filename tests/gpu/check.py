"""``make gpu-check``: build, every GPU test, the sanitizer, every figure; one JSON, one Markdown.

No network, no Node, no Jupyter. Each part has a budget, so that one hang costs one row, and the
parts stand in the order of their worth: what the time does not reach is named at the end, the most
wanted first. The report is written again after each part, so a run that is cut short leaves what it
found; a part that raises is a row with its traceback. Exit codes: 0 all passed and were measured;
1 something failed or was not reached; 2 there is no GPU.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gpu.groups import run_tests
from tests.gpu.names import FIGURES
from tests.gpu.needs import gpus, missing, surroundings, toolkit
from tests.gpu.report import Report, to_markdown
from tests.gpu.steps import ROOT, Step, portable, run_step

__all__ = ["Part", "main", "parts_of", "run_parts"]

WHOLE_S = 480.0
FIGURE_S = 25.0
DEVICE_S = 30.0
SHARED = (
    "tests/grain/test_traffic.py",
    "tests/grain/test_lifecycle.py",
    "tests/grain/test_transfers.py",
    "tests/ring/test_completions.py",
)
# Of these, what is the host's: a kernel held up by the host compiler's atomics, or another device.
HOSTS = (
    "test_a_long_kernel_outlives_its_lease",
    "test_the_same_completion_from_many_threads",
    "test_a_timeout_leaves_the_request_alive",
    "test_done_never_waits",
    "test_the_same_key_is_the_same_grain",
)


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


def run_parts(
    parts: Sequence[Part],
    report: Report,
    whole_s: float,
    clock: Callable[[], float] = time.monotonic,
    look: Callable[[str], list[Step]] = lambda _after: [],
) -> None:
    """Run what the time allows, in order; a part gets its budget or what is left of the whole.

    A part that would get less than a quarter of its budget is left out, so that later, shorter ones
    are reached. After one that did not pass, ``look`` says whether the device still works: it gives
    a step if not.
    """
    end = clock() + whole_s
    report.not_reached = [part.name for part in parts]
    report.write()
    for part in parts:
        left = end - clock()
        if left < part.budget_s / 4:
            continue
        try:
            found = part.run(min(part.budget_s, left))
        except Exception:  # noqa: BLE001 - its row says so, and the others go on
            found = [Step(part.name, "failed", said=portable(traceback.format_exc()))]
        report.not_reached.remove(part.name)
        report.add(found)
        if all(step.outcome in {"passed", "absent", "not reached"} for step in found):
            continue
        if part.vital:
            break
        if gone := look(part.name):
            report.add(gone)
            break
    report.write()


def main(arguments: list[str] | None = None) -> int:
    """Run everything that the time allows, write the report, print a short table."""
    options = _parser().parse_args(arguments)
    if options.list:
        sys.stdout.write("".join(f"{part.name}\n" for part in parts_of()))
        return 0
    found, why = gpus()
    if not found:
        sys.stderr.write(f"gpu-check: no NVIDIA GPU: {why}\n")
        return 2
    with suppress(ValueError, OSError):  # a crash leaves no core file
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    toolkit(os.environ)
    os.environ.setdefault("GPURES_CACHE_DIR", str(ROOT / "build" / "gpu-check-kernels"))
    options.out.mkdir(parents=True, exist_ok=True)
    report = Report(
        options.out / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}",
        surroundings(found, options.commit),
        sys.stderr if options.json else sys.stdout,
    )
    parts = parts_of(options.part)
    if importlib.util.find_spec("torch") is None:
        report.unmeasured.append("PyTorch beside the ring and as a rival: torch is not installed")
    report.unmeasured.append(f"shared tests that are the host's: {', '.join(HOSTS)}")
    everything = parts_of()
    if len(parts) < len(everything):
        asked = {part.name for part in parts}
        left = ", ".join(part.name for part in everything if part.name not in asked)
        report.unmeasured.append(f"parts that were not asked for: {left}")
    run_parts(parts, report, options.seconds, look=_look)
    result = report.as_dict()
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if options.json else to_markdown(result))
    return int(not report.good)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpures-lab gpu-check", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "gpu_reports", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--part",
        action="append",
        default=[],
        metavar="NAME",
        help="only the parts whose names begin so, and what they need; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="print the parts' names and end")
    parser.add_argument(
        "--seconds", type=float, default=WHOLE_S, metavar="S", help="for all of it (%(default)s)"
    )
    parser.add_argument("--commit", metavar="ID", help="what this is, where git cannot tell")
    return parser


def parts_of(asked: Sequence[str] = ()) -> list[Part]:
    """Return everything there is to run, the most wanted first, or what was asked for of it."""

    def tests(name: str, budget_s: float, *arguments: str) -> Part:
        return Part(name, budget_s, lambda limit_s: run_tests(name, arguments, limit_s))

    torch = importlib.util.find_spec("torch") is not None
    sharing = ["tests/gpu/test_sharing.py"]
    sharing += [] if torch else ["--deselect=tests/gpu/test_sharing.py::test_torch_beside_the_ring"]
    figures = [_figure(name, budget_s or FIGURE_S) for name, budget_s in FIGURES.items()]
    first = [
        Part("packages", 30, lambda limit_s: [missing(limit_s)], vital=True),
        *(_command(name, budget_s, command) for name, budget_s, command in _build_commands()),
    ]
    rest = [
        # First light and the first figures before what may hang: whatever comes, these are in.
        tests("first light", 90, "tests/gpu/test_first_light.py"),
        *figures[:6],
        tests("hazards", 100, "tests/gpu/test_hazards.py"),
        *figures[6:12],
        tests("streams", 40, "tests/gpu/test_streams.py"),
        tests("sharing", 90, *sharing),
        *figures[12:],
        Part("compute-sanitizer", 60, lambda limit_s: [_sanitizer(limit_s)]),
        tests(
            "shared tests", 90, "--device=cuda:0", "-k", f"not {' and not '.join(HOSTS)}", *SHARED
        ),
    ]
    if asked:
        rest = [part for part in rest if part.name.startswith(tuple(asked))]
    return [*first, *rest]


def _command(name: str, budget_s: float, command: list[str]) -> Part:
    def run(limit_s: float) -> list[Step]:
        step, out = run_step(name, command, limit_s)
        if name == "status":
            step.said = portable(out) if step.outcome == "passed" else step.said
        return [step]

    return Part(name, budget_s, run, vital=name != "status")


def _figure(figure: str, budget_s: float) -> Part:
    name = f"figure {figure}"

    def run(limit_s: float) -> list[Step]:
        # It tells what it is at and ends by itself before it would be ended without a word.
        own = f"--limit={max(limit_s - 4, 2):.0f}"
        command = [sys.executable, "-m", "tests.gpu.figures", figure, own]
        step, out = run_step(name, command, limit_s)
        step.figures = _figures_in(out)
        if step.outcome == "passed" and not step.figures:
            step.outcome, step.said = "failed", f"it printed no figures\n{out[-2000:]}"
        return [step]

    return Part(name, budget_s, run)


def _figures_in(out: str) -> dict[str, Any]:
    """The last line of JSON: a figure that is measured in several parts prints after each."""
    for line in reversed(out.splitlines()):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {}


def _build_commands() -> list[tuple[str, float, list[str]]]:
    folder = str(ROOT / "build" / "native")
    source = str(ROOT / "gpures_lab" / "_core")
    # A compiler that is newer than ours may warn of more.
    defines = [f"-DPython_EXECUTABLE={sys.executable}", "-DGPURES_WERROR=OFF"]
    generator = [] if shutil.which("make") else ["-G", "Ninja"]
    cores = str(os.cpu_count() or 2)
    return [
        ("configure", 30, ["cmake", "-S", source, "-B", folder, *generator, *defines]),
        ("build", 180, ["cmake", "--build", folder, "--parallel", cores]),
        ("status", 30, [sys.executable, "-m", "gpures_lab", "status"]),
    ]


def _look(after: str) -> list[Step]:
    """Whether the device still works in a fresh process, asked after something went wrong."""
    code = "import cupy; assert int(cupy.arange(1000).sum()) == 499500"
    step, _ = run_step(f"the device after {after}", [sys.executable, "-c", code], DEVICE_S)
    return [] if step.outcome == "passed" else [step]


SANITIZED = """
import gpures_lab as gl
lab = gl.GrainManager(device='cuda:0', ring=gl.RingOptions(linger_us=0), stall_s=60)
x = lab.grain().allocate(1024); x.write(2)
lab.grain().compute('kernels/VectorAdd', inputs=[x, x], outputs=[x]).result(50)
assert (x.read().result(50) == 4).all()
lab.close()
"""


def _sanitizer(limit_s: float) -> Step:
    program = shutil.which("compute-sanitizer")
    if program is None:
        return Step("compute-sanitizer", "absent", said="not on PATH: comes with the CUDA toolkit")
    # Errors that calls return are answers to questions here (what does this device know?).
    command = [program, "--error-exitcode", "9", "--report-api-errors", "no"]
    step, out = run_step("compute-sanitizer", [*command, sys.executable, "-c", SANITIZED], limit_s)
    if step.outcome == "passed" and "ERROR SUMMARY: 0 errors" not in out + step.said:
        step.outcome, step.said = "failed", f"it does not say that it found nothing\n{out[-2000:]}"
    return step


if __name__ == "__main__":
    sys.exit(main())
