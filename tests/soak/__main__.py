"""The long form: every proof, bounded in time, and a report of what was really counted."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gpures_lab as gl
from tests.soak.cycles import cycles
from tests.soak.kills import kill_rounds
from tests.soak.swaps import swaps
from tests.soak.traffic import traffic

REPORTS = Path(__file__).parents[1] / "soak_reports"
FUZZER = Path(__file__).parents[2] / "build" / "native-tests" / "plain" / "fuzz_messages"

# What each part wants, and its share of the time; what one leaves is the next one's.
GOALS = {
    "traffic": (100_000_000, 0.45),
    "kills": (500, 0.25),
    "malformed": (10_000_000, 0.12),
    "swaps": (2_000, 0.10),
    "cycles": (1_000, 0.08),
}


def main() -> int:
    """Exit 0 when nothing was wrong, however far the time went; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="bound of it all (30)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="printed in the report")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder of the report")
    options = parser.parse_args()
    began, commit = time.monotonic(), _commit()
    parts: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GPURES_CACHE_DIR"] = f"{folder}/cache"
        os.environ["GPURES_STATE_DIR"] = f"{folder}/state"
        ends_at = began
        for name, (goal, share) in GOALS.items():
            since = time.monotonic()
            ends_at += share * options.minutes * 60
            place = Path(folder) / name
            place.mkdir()
            found = _part(name, goal, options.seed, ends_at, place)
            found |= {"goal": goal, "wall_s": round(time.monotonic() - since, 1)}
            parts[name] = found
    report = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "bound_minutes": options.minutes,
        "wall_s": round(time.monotonic() - began, 1),
        "seed": options.seed,
        "driver": "host (CPU threads)",
        "machine": _machine(),
        "parts": parts,
        "good": all(part["good"] for part in parts.values()),
    }
    options.out.mkdir(exist_ok=True)
    (options.out / "host.json").write_text(json.dumps(report, indent=2, default=str) + "\n")
    text = _markdown(report)
    (options.out / "host.md").write_text(text)
    return 0 if report["good"] else 1


def _part(name: str, goal: int, seed: int, ends_at: float, folder: Path) -> dict[str, Any]:
    if name == "traffic":
        sent = traffic(goal, seed, ends_at)
        good = (sent.wrong, sent.lost_or_doubled, sent.unanswered) == (0, 0, 0)
        return asdict(sent) | {"good": good, "reached": sent.messages}
    if name == "kills":
        killed = kill_rounds(folder, goal, seed, ends_at)
        return asdict(killed) | {"good": killed.wrong == 0, "reached": killed.rounds}
    if name == "swaps":
        swapped = swaps(10, goal, seed, ends_at)
        return asdict(swapped) | {"good": swapped.wrong == 0, "reached": swapped.uses}
    if name == "cycles":
        left = cycles(goal, folder)
        good = (left.threads, left.descriptors) == (0, 0) and left.resident_bytes < 4 << 20
        return asdict(left) | {"good": good, "reached": left.cycles}
    return _malformed(goal, seed, ends_at)


def _malformed(goal: int, seed: int, ends_at: float) -> dict[str, Any]:
    if not FUZZER.exists():
        raise SystemExit(f"{FUZZER} is missing; run make native-tests first")
    seconds = max(1, int(ends_at - time.monotonic()))
    done = subprocess.run(
        [FUZZER, str(goal), str(seed), str(seconds)], capture_output=True, text=True, check=False
    )
    numbers = [int(word) for word in done.stdout.split() if word.isdigit()]
    sent, refused, others_refused, accepted = numbers[:4] if len(numbers) >= 4 else (0, 0, 0, 0)
    return {
        "messages": sent,
        "surely_wrong_and_refused": refused,
        "noise_refused": others_refused,
        "noise_accepted": accepted,
        "exit_code": done.returncode,
        "stderr": done.stderr[-2000:],
        "good": done.returncode == 0,
        "reached": sent,
    }


def _machine() -> str:
    with gl.GrainManager(device="host") as lab:
        name = lab.driver.device_name
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _commit() -> str:
    """Name the tree as it is now; ``-dirty`` if a file of it was changed."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _markdown(report: dict[str, Any]) -> str:
    lines = [
        "# Soak report",
        "",
        (
            f"{report['when']}, commit {report['commit']}, driver {report['driver']}, "
            f"{report['machine']}. Bound: {report['bound_minutes']:g} minutes; took "
            f"{report['wall_s']:,.0f} s; seed {report['seed']}."
        ),
        "",
        "| part | wanted | reached | in | nothing wrong | seen |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in report["parts"].items():
        hidden = {"goal", "good", "reached", "wall_s", "stderr"}
        seen = ", ".join(
            f"{key} {value:,.2f}" if isinstance(value, float) else f"{key} {value:,}"
            for key, value in part.items()
            if key not in hidden and value is not None
        )
        lines.append(
            f"| {name} | {part['goal']:,} | {part['reached']:,} | {part['wall_s']:,.0f} s | "
            f"{'yes' if part['good'] else 'NO'} | {seen} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
