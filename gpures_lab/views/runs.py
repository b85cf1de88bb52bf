"""Programs that run or wait, each with a bar, as HTML for the cell and the report."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpures_lab.grain.runs import RunProgress
    from gpures_lab.views.palette import Palette

__all__ = ["MOST_RUNS", "runs_html"]

MOST_RUNS: Final = 8
"""Bars that are shown; of more only the number."""

LONGEST_NAME: Final = 60


def runs_html(runs: Sequence[RunProgress], palette: Palette) -> str:
    """Return a bar a run, oldest first, or the empty string; names are text, whatever they contain.

    Parameters
    ----------
    palette
        Colours where no JupyterLab gives its own.
    """
    if not runs:
        return ""
    text = f"var(--jp-content-font-color1,{palette.text})"
    more = len(runs) - MOST_RUNS
    return (
        f'<div style="color:{text};font-size:12px;padding:4px 0"><b>Programs under way</b>'
        + "".join(_bar(run, palette) for run in runs[:MOST_RUNS])
        + (f"<div>and {more:,} more</div>" if more > 0 else "")
        + "</div>"
    )


def _bar(run: RunProgress, palette: Palette) -> str:
    share = 100 * run.done / run.repeat if run.repeat else 100.0
    name = run.program or f"a program of {run.steps:,} step{'' if run.steps == 1 else 's'}"
    what = html.escape(f"{_short(name)} on {_short(run.grain)}")
    label = f"{run.done:,} of {run.repeat:,} iterations ({share:.0f} %)"
    track = f"var(--jp-border-color2,{palette.pale})"
    return (
        '<div style="display:flex;align-items:center;gap:8px;font-variant-numeric:tabular-nums">'
        f'<span style="min-width:12em">{what}</span>'
        f'<div role="progressbar" aria-label="{what}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share:.0f}" style="width:200px;height:8px;background:{track}">'
        f'<div style="width:{share:.1f}%;height:8px;background:{palette.first}"></div></div>'
        f"<span>{label}</span></div>"
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
