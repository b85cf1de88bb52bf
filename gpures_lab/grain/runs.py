"""Which programs run or wait at this moment, and how far they are."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gpures_lab._core._native import Completion
    from gpures_lab.grain.program import Program
    from gpures_lab.grain.result import RunResult

__all__ = ["RunProgress", "Runs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunProgress:
    """One run of a program that has not ended.

    Attributes
    ----------
    grain
        Key of the grain whose message it is.
    program
        The program's name; None where it has none.
    steps
        Messages of one iteration.
    done, repeat
        Iterations that are done, as of the run's last launch, and those asked for. With ``until``
        it may end earlier.
    """

    grain: str
    program: str | None
    steps: int
    done: int
    repeat: int


class _Run(NamedTuple):  # made for every run: half the time of a frozen dataclass
    grain: str
    program: str | None
    steps: int
    repeat: int
    completion: weakref.ref[Completion[RunResult]]


class Runs:
    """The runs of a manager whose completion somebody holds. May be used from any thread.

    A completion that nobody holds is not kept alive for it: the engine counts its failure when
    the last one lets go.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: list[_Run] = []
        self._look_at = 16

    def add(self, program: Program, repeat: int, completion: Completion[RunResult]) -> None:
        """Keep a run that was just posted."""
        run = _Run(program.grain.key, program.name, len(program), repeat, weakref.ref(completion))
        with self._lock:
            self._runs.append(run)
            if len(self._runs) >= self._look_at:
                self._forget_ended()
                self._look_at = 2 * len(self._runs) + 16  # so that a run costs a constant

    def now(self) -> tuple[RunProgress, ...]:
        """Return those that have not ended, oldest first. Never waits."""
        with self._lock:
            self._forget_ended()
            runs = tuple(self._runs)
        found = []
        for run in runs:
            completion = run.completion()
            if completion is not None and not completion.done():
                found.append(
                    RunProgress(
                        grain=run.grain,
                        program=run.program,
                        steps=run.steps,
                        done=completion.progress() or 0,
                        repeat=run.repeat,
                    )
                )
        return tuple(found)

    def _forget_ended(self) -> None:
        self._runs = [
            run for run in self._runs if (held := run.completion()) is not None and not held.done()
        ]
