"""What a cell shows: a handle with its first values, one line of what a magic did."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from gpures_lab._core._native import ResidentArray
from gpures_lab.errors import GpuResError
from gpures_lab.grain import ComputeResult
from gpures_lab.metrics.units import bytes_text, latency_text

__all__ = [
    "Allocated",
    "TimedCompute",
    "handle_html",
    "handle_text",
    "show_handles",
    "unshow_handles",
]

MOST_ELEMENTS = 64
READ_WITHIN_S = 0.05


class Allocated:
    """The line of ``%grain_alloc``. It holds text, so that ``Out`` keeps no memory alive."""

    def __init__(self, handle: ResidentArray) -> None:
        lab = handle.grain.manager
        place = lab.driver.label
        if lab.driver.name == "host":
            place = "host (CPU threads; why: %grain_status)"
        self._text = (
            f"{handle.name}  {handle.dtype} {handle.shape}  {bytes_text(handle.nbytes)}  "
            f"grain {handle.grain.key!r} on {place}"
        )

    def __repr__(self) -> str:
        return self._text


class TimedCompute(ComputeResult):
    """The result of ``%%grain_compute --time``, shown as one line."""

    _done: str

    @classmethod
    def of(
        cls, result: ComputeResult, outputs: Sequence[str], given: Sequence[str], versions: int
    ) -> Self:
        """Return a result that shows the names it wrote and read, and how often it was compiled."""
        self = cls(*result)
        self._done = (
            f"{', '.join(outputs)} ← {result.kernel}({', '.join(given)})  compiled "
            f"{'once' if versions == 1 else f'{versions} times'}"
        )
        return self

    def __repr__(self) -> str:
        return (
            f"{self._done}  queue {latency_text(self.queue_ns)}  "
            f"service {latency_text(self.execution_time_ns)}  "
            f"round trip {latency_text(self.round_trip_ns)}"
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(repr(self))


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
