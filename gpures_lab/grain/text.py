"""How handles, completions, grains and programs print. Never raises, never waits.

HTML has the colours of JupyterLab's theme, no script, and everything a user wrote as text.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from gpures_lab.ring.wire import Status, word_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpures_lab._core._native import Completion, ResidentArray
    from gpures_lab.grain.grain import Grain
    from gpures_lab.grain.program import Program

__all__ = [
    "array_repr",
    "completion_repr",
    "grain_html",
    "line_html",
    "program_html",
    "table_html",
]

MOST_ROWS = 50
_STYLE = 'style="text-align:left;color:var(--jp-ui-font-color1)"'


def array_repr(handle: ResidentArray) -> str:
    """``<ResidentArray x float32 (1024,) 4.0 KiB, grain 'scores'>``."""
    from gpures_lab.metrics.units import bytes_text

    if handle.released:
        return f"<ResidentArray {handle.name} released>"
    return (
        f"<ResidentArray {handle.name} {handle.dtype} {handle.shape} "
        f"{bytes_text(handle.nbytes)}, grain {handle.grain.key!r}>"
    )


def completion_repr(completion: Completion[Any]) -> str:
    """``<Completion Read on 'scores': pending>``."""
    state = completion._state
    outcome = "pending"
    if state["answered"]:
        status = Status(state["status"])
        outcome = "done" if status is Status.OK else status.name.lower().replace("_", " ")
    return f"<Completion {word_of(state['opcode'])} on {completion.grain.key!r}: {outcome}>"


def line_html(text: str) -> str:
    """One line of text, its spaces as they are."""
    return f'<pre style="color:var(--jp-ui-font-color1);margin:0">{html.escape(text)}</pre>'


def table_html(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text."""
    top = "".join(f"<th {_STYLE}>{html.escape(each)}</th>" for each in head)
    body = "".join(
        "<tr>" + "".join(f"<td {_STYLE}>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    title = f"<caption {_STYLE}>{html.escape(caption)}</caption>"
    return f"<table>{title}<tr>{top}</tr>{body}</table>"


def grain_html(grain: Grain) -> str:
    """What its repr says, and what it holds."""
    from gpures_lab.metrics.units import bytes_text

    title = repr(grain)[1:-1]
    if grain.manager is None or grain.manager.closed or not grain.handles:
        return line_html(title)
    handles = list(grain.handles.values())
    rows = [
        (each.name, str(each.dtype), str(each.shape), bytes_text(each.nbytes), each.memory_type)
        for each in handles[:MOST_ROWS]
    ]
    if len(handles) > MOST_ROWS:
        rows.append((f"and {len(handles) - MOST_ROWS:,} more", "", "", "", ""))
    return table_html(title, ("name", "dtype", "shape", "size", "memory"), rows)


def program_html(program: Program) -> str:
    """What its repr says, and its steps."""
    title = repr(program)[1:-1]
    rows = [
        (str(number), program.step_text(number), program.kernel_of(number) or "")
        for number in range(min(len(program), MOST_ROWS))
    ]
    if len(program) > MOST_ROWS:
        rows.append(("", f"and {len(program) - MOST_ROWS:,} more", ""))
    return table_html(title, ("", "step", "kernel"), rows) if rows else line_html(title)
