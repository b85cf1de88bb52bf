"""Rows as the Markdown that README quotes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.benchmarks.row import Row
from tests.benchmarks.surroundings import text

__all__ = ["markdown", "not_measured"]

HEAD = "| what | measured | winner | wanted | kept |\n|---|---|---|---|---|"
METHOD = (
    "Each row's contenders run in turn, outputs poisoned before and checked after. Times are the "
    "best repeat's; ratios are of the bests, in brackets the median of the repeats' ratios."
)
KEPT = {True: "yes", False: "NO", None: "–"}


def markdown(results: dict[str, list[Row]], found: dict[str, Any]) -> str:
    """One table a suite, and what was not measured."""
    parts = [text(found), METHOD]
    for suite, rows in results.items():
        parts.append(f"### {suite}\n\n" + "\n".join([HEAD, *(line(row) for row in rows)]))
    judged = [row for rows in results.values() for row in rows if row.met is not None]
    kept = sum(row.met is True for row in judged)
    parts.append(f"{kept} of {len(judged)} promises kept.")
    missing = not_measured(results, found)
    if missing:
        parts.append("Not measured: " + "; ".join(f"{n}: {why}" for n, why in missing.items()))
    return "\n\n".join(parts)


def line(row: Row) -> str:
    """One line; a pipe inside a cell would end it."""
    winner = "–" if row.winner is None else f"{row.winner}, {row.factor:.3g} x"
    cells = (row.what, row.measured, winner, row.wanted or "–", KEPT[row.met])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def not_measured(results: dict[str, list[Row]], found: dict[str, Any]) -> dict[str, str]:
    """Rivals of the whole benchmark that this run has no figure of, and why."""
    missing = {n: "not installed" for n, v in found["packages"].items() if v is None}
    for row in _all(results):
        missing |= row.figures.get("missing", {})
    if found["driver"].startswith("host"):
        missing["raw launch, CUDA graph, CuPy, Numba-CUDA, PyTorch"] = "no CUDA driver in this run"
    return missing


def _all(results: dict[str, list[Row]]) -> Iterable[Row]:
    return (row for rows in results.values() for row in rows)
