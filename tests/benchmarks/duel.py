"""Several ways to the same result, timed in turn: A B C A B C …, so that noise meets all alike.

Each run begins with poisoned outputs and ends with checked ones; neither is on the clock. A run
whose outputs are wrong ends the benchmark: a fast wrong answer is no result.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.row import Row

__all__ = ["OURS", "Contender", "Duel", "duel", "duration"]

OURS = "gpures_lab"


@dataclass(frozen=True)
class Contender:
    """One way to the result.

    Attributes
    ----------
    name
        As the table prints it; `OURS` for the project's own, ``OURS, how`` for another way of it.
    run
        What is timed. Returns only when its outputs are there.
    poison
        Spoils the outputs, so that a run that does nothing is found out.
    check
        Raises AssertionError unless the outputs are right.
    """

    name: str
    run: Callable[[], object]
    poison: Callable[[], object]
    check: Callable[[], object]


@dataclass(frozen=True)
class Duel:
    """Seconds of each repeat of each contender, divided by the units of work in it."""

    spans_s: dict[str, np.ndarray]

    def best_s(self, name: str = OURS) -> float:
        """Shortest repeat."""
        return float(self.spans_s[name].min())

    def median_s(self, name: str = OURS) -> float:
        """Median of the repeats."""
        return float(np.median(self.spans_s[name]))

    def ratio(self, rival: str, name: str = OURS) -> float:
        """Best of ``name`` over best of ``rival``: below 1 where ``name`` is faster."""
        return self.best_s(name) / self.best_s(rival)

    def median_ratio(self, rival: str, name: str = OURS) -> float:
        """Median over the repeats of the ratio within one repeat."""
        return float(np.median(self.spans_s[name] / self.spans_s[rival]))

    def verdict(self) -> tuple[str, float]:
        """Winner by best repeat, and its factor over the best of the other side: ours, or not."""
        order = sorted(self.spans_s, key=self.best_s)
        side = order[0].startswith(OURS)
        beaten = next((name for name in order if name.startswith(OURS) != side), order[0])
        return order[0], self.best_s(beaten) / self.best_s(order[0])

    def text(self, unit: str = "") -> str:
        """Best times, and each rival's as ratio (best, median)."""
        parts = [f"{duration(self.best_s())}{unit}"]
        parts += [
            f"{name} {duration(self.best_s(name))} = {1 / self.ratio(name):.2f} x "
            f"(median {1 / self.median_ratio(name):.2f} x)"
            for name in self.spans_s
            if name != OURS
        ]
        return "; ".join(parts)

    def figures(self) -> dict[str, Any]:
        """Best and median of each contender, for JSON."""
        found: dict[str, Any] = {}
        for name in self.spans_s:
            found[name] = {
                "best_s": self.best_s(name),
                "median_s": self.median_s(name),
                "repeats": self.spans_s[name].size,
            }
        return found

    def row(
        self, what: str, *, wanted: str = "", met: bool | None = None, unit: str = "", **extra: Any
    ) -> Row:
        """The duel as a line of the table."""
        winner, factor = self.verdict()
        return Row(
            what=what,
            measured=self.text(unit),
            wanted=wanted,
            met=met,
            winner=winner,
            factor=factor,
            figures=self.figures() | extra,
        )


def duel(contenders: Sequence[Contender], *, repeats: int = 9, units: int = 1) -> Duel:
    """Time ``contenders`` in turn; the first round warms up and is dropped."""
    spans: dict[str, list[float]] = {each.name: [] for each in contenders}
    gc.collect()
    gc.disable()
    try:
        for turn in range(repeats + 1):
            # Each goes first as often as the others.
            first = turn % len(contenders)
            for each in (*contenders[first:], *contenders[:first]):
                each.poison()
                begin = time.perf_counter_ns()
                each.run()
                spent = time.perf_counter_ns() - begin
                each.check()
                if turn:
                    spans[each.name].append(spent / 1e9 / units)
    finally:
        gc.enable()
    return Duel({name: np.array(values) for name, values in spans.items()})


def duration(seconds: float) -> str:
    """Three digits with the unit that fits: ``71.2 ns``, ``1.04 ms``."""
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 999.5:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"
