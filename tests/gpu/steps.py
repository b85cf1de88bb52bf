"""Commands with a limit: what each said, and that nothing of it is left when its time is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["ROOT", "Step", "clipped", "run_step"]

ROOT = Path(__file__).parents[2]
KEPT = 8_000  # characters of what a step that went wrong has said
STACKS_S = 3.0  # for Python to tell where all its threads are
DEATH_S = 20.0  # for the driver to take a killed process's kernel away


@dataclass
class Step:
    """One line of the report."""

    name: str
    outcome: str  # passed, failed, timed out, absent, not reached
    seconds: float = 0.0
    said: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def run_step(
    name: str, command: list[str], limit_s: float, env: dict[str, str] | None = None
) -> tuple[Step, str]:
    """Run one command within its limit; also its standard output.

    Output goes to files, for a pipe would keep us waiting for whoever else holds its end. A Python
    process that is late is asked for its stacks before it is killed.
    """
    since = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **(env or {})},
                start_new_session=True,  # so that what it started goes with it
            )
        except OSError as error:
            return Step(name, "failed", time.monotonic() - since, f"{command[0]}: {error}"), ""
        try:
            code = process.wait(limit_s)
            outcome, note = ("passed", "") if code == 0 else ("failed", _ending(code))
        except subprocess.TimeoutExpired:
            outcome, note = "timed out", f"ended after {limit_s:.0f} s"
            if command[0] == sys.executable:
                process.send_signal(signal.SIGABRT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STACKS_S)
        finally:  # after Ctrl-C too
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(DEATH_S)
        except subprocess.TimeoutExpired:
            note += f"; it is still there {DEATH_S:.0f} s after it was killed"
        told, complained = _text(out), _text(err)
    # Of a step that passed, only what it had to complain of.
    said = complained[-KEPT // 8 :]
    if outcome != "passed":
        said = clipped("\n".join(filter(None, (told, complained, note))))
    return Step(name, outcome, time.monotonic() - since, portable(said)), told


def clipped(text: str) -> str:
    """Begin and end of a long text."""
    text = text.strip()
    if len(text) <= KEPT:
        return text
    return f"{text[: KEPT // 4]}\n... {len(text) - KEPT:,} characters ...\n{text[-3 * KEPT // 4 :]}"


def portable(text: str) -> str:
    """The same without this machine's folders."""
    for folder, name in ((str(ROOT), "."), (sys.prefix, "PREFIX"), (sys.base_prefix, "BASE")):
        text = text.replace(f"{folder}/", f"{name}/") if len(folder) > 1 else text
    return text


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-code).name}"
    return f"ended by signal {-code}"


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
