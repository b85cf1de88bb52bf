"""A handle at the end of a cell: what it is, and its first values."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from gpures_lab._core._native import ResidentArray
from gpures_lab.errors import GpuResError

__all__ = ["handle_html", "handle_text", "show_handles", "unshow_handles"]

MOST_ELEMENTS = 64
READ_WITHIN_S = 0.05


def handle_text(handle: ResidentArray) -> str:
    """Its repr, and one line of values: ``busy`` if the grain does not answer at once."""
    return f"{handle!r}\n{_values(handle)}" if not handle.released else repr(handle)


def handle_html(handle: ResidentArray) -> str:
    """The same in the colours of the theme."""
    head, _, values = handle_text(handle).partition("\n")
    return (
        f'<div style="color:var(--jp-ui-font-color1)">{html.escape(head)}</div>'
        f'<pre style="color:var(--jp-ui-font-color2)">{html.escape(values)}</pre>'
    )


def show_handles(shell: Any) -> None:
    """Have a shell show handles so."""
    formatters = shell.display_formatter.formatters
    formatters["text/plain"].for_type(ResidentArray, _pretty)
    formatters["text/html"].for_type(ResidentArray, handle_html)


def unshow_handles(shell: Any) -> None:
    """Take it back."""
    for kind in ("text/plain", "text/html"):
        shell.display_formatter.formatters[kind].type_printers.pop(ResidentArray, None)


def _pretty(handle: ResidentArray, printer: Any, cycle: bool) -> None:
    del cycle
    printer.text(handle_text(handle))


def _values(handle: ResidentArray) -> str:
    count = min(MOST_ELEMENTS, handle.size)
    try:
        data = handle.read(count=count).result(READ_WITHIN_S)
    except TimeoutError:
        return "busy"
    except GpuResError as error:  # a repr never raises
        return f"no values: {type(error).__name__}"
    text = np.array2string(data, separator=", ", threshold=16, edgeitems=6, max_line_width=10_000)
    return text if handle.size == count else f"first {count} of {handle.size:,}: {text}"
