"""The latest messages as columns of the timeline: who waited, who was served, when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gpures_lab.metrics.units import latency_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpures_lab.metrics import TracedMessage

__all__ = ["MOST_LANES", "MOST_MESSAGES", "TIMELINE_COLUMNS", "timeline_columns"]

TIMELINE_COLUMNS: Final = ("lane", "posted", "taken", "done", "what", "waited", "served", "status")
MOST_MESSAGES: Final = 120
MOST_LANES: Final = 8
PAUSE_NS: Final = 2_000_000  # a longer one ends the stretch: what came before is another cell's


def timeline_columns(
    messages: Sequence[TracedMessage],
) -> tuple[list[str], dict[str, list[object]]]:
    """Return the lanes, one a grain, and a list for each of `TIMELINE_COLUMNS`.

    Only the last busy stretch: with the pauses between cells in it, each message would be a dot.
    Times are nanoseconds before the end of the stretch.
    """
    stretch: list[TracedMessage] = []
    for message in sorted(messages, key=lambda each: each.posted_ns, reverse=True)[:MOST_MESSAGES]:
        if stretch and stretch[-1].posted_ns - message.done_ns > PAUSE_NS:
            break
        stretch.append(message)
    lanes = list(dict.fromkeys(_lane(message) for message in stretch))[:MOST_LANES]
    columns: dict[str, list[object]] = {name: [] for name in TIMELINE_COLUMNS}
    end = max((message.done_ns for message in stretch), default=0)
    for message in reversed(stretch):
        if _lane(message) not in lanes:
            continue
        values = (
            _lane(message),
            message.posted_ns - end,
            message.taken_ns - end,
            message.done_ns - end,
            message.kernel or message.operation,
            latency_text(message.taken_ns - message.posted_ns),
            latency_text(message.done_ns - message.taken_ns),
            message.status,
        )
        for name, value in zip(TIMELINE_COLUMNS, values, strict=True):
            columns[name].append(value)
    return lanes, columns


def _lane(message: TracedMessage) -> str:
    return message.grain if len(message.grain) <= 24 else f"{message.grain[:23]}…"
