"""What a cell shows: a handle with its first values, one line of what was done and its times."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from gpures_lab._core._native import Completion, ResidentArray
from gpures_lab.errors import GpuResError
from gpures_lab.grain import ComputeResult, RunResult
from gpures_lab.grain.text import line_html
from gpures_lab.metrics import ResidentMemoryMetrics
from gpures_lab.metrics.units import bytes_text, count_text, latency_text

__all__ = [
    "Line",
    "TimedCompute",
    "allocated",
    "handle_html",
    "handle_text",
    "show_handles",
    "unshow_handles",
]

MOST_ELEMENTS = 64
READ_WITHIN_S = 0.05


class Line:
    """What a magic did, as the value of its cell. Text alone: `Out` must keep no memory alive."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def allocated(handle: ResidentArray, replaced: str | None = None) -> Line:
    """Return the line of ``%grain_alloc``; ``replaced`` is what the name meant before."""
    lab = handle.grain.manager
    place = lab.driver.label
    if lab.driver.name == "host":
        # The reason without what it adds in brackets: this is one line.
        why = lab.driver.reason.partition(" (")[0]
        place = f"host (CPU threads; {why}: %grain_status)"
    was = "" if replaced is None else f"  (the name was of a {replaced})"
    return Line(
        f"{handle.name}  {handle.dtype} {handle.shape}  {bytes_text(handle.nbytes)}  "
        f"grain {handle.grain.key!r} on {place}{was}"
    )


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
        return f"{self._done}  {times_text(self)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(repr(self))


def times_text(result: ComputeResult | RunResult) -> str:
    """Where the time of a message went."""
    return (
        f"queue {latency_text(result.queue_ns)}  "
        f"service {latency_text(result.execution_time_ns)}  "
        f"round trip {latency_text(result.round_trip_ns)}"
    )


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
    """Have a shell show handles and results so."""
    formatters = shell.display_formatter.formatters
    formatters["text/plain"].for_type(ResidentArray, _pretty)
    formatters["text/html"].for_type(ResidentArray, handle_html)
    for kind, show in _RESULTS.items():
        formatters["text/plain"].for_type(kind, show)
    for kind in _LINES:
        formatters["text/html"].for_type(kind, _html_of(formatters["text/plain"]))


def unshow_handles(shell: Any) -> None:
    """Take it back."""
    for kind in ("text/plain", "text/html"):
        shell.display_formatter.formatters[kind].type_printers.pop(ResidentArray, None)
    for result in _RESULTS:
        shell.display_formatter.formatters["text/plain"].type_printers.pop(result, None)
    for line in _LINES:
        shell.display_formatter.formatters["text/html"].type_printers.pop(line, None)


def _html_of(plain: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: line_html(plain(value))


def _pretty(handle: ResidentArray, printer: Any, cycle: bool) -> None:
    del cycle
    printer.text(handle_text(handle))


def _pretty_compute(result: ComputeResult, printer: Any, cycle: bool) -> None:
    del cycle
    printer.text(f"{result.kernel}  {times_text(result)}")


def _pretty_run(result: RunResult, printer: Any, cycle: bool) -> None:
    del cycle
    many = "" if result.iterations == 1 else "s"
    printer.text(f"{count_text(result.iterations)} iteration{many}  {times_text(result)}")


def _pretty_metrics(metrics: ResidentMemoryMetrics, printer: Any, cycle: bool) -> None:
    del cycle
    printer.text(str(metrics))


_RESULTS: dict[type, Callable[[Any, Any, bool], None]] = {
    ComputeResult: _pretty_compute,
    ResidentMemoryMetrics: _pretty_metrics,
    RunResult: _pretty_run,
}


# What has one line of text has the same line as HTML.
_LINES: tuple[type, ...] = (Completion, ComputeResult, Line, RunResult, TimedCompute)


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
