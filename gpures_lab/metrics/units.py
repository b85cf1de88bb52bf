"""Figures as people read them; ``–`` where nothing was measured."""

from __future__ import annotations

from typing import Final

__all__ = [
    "NOT_MEASURED",
    "bytes_text",
    "count_text",
    "duration_text",
    "latency_text",
    "percent_text",
    "rate_text",
]

NOT_MEASURED: Final = "–"


def bytes_text(value: int) -> str:
    """Return ``512 B``, ``449.2 KiB``, ``1.50 GiB``: three or four digits that matter."""
    if value < 1024:
        return f"{value} B"
    size = float(value)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1024 or unit == "TiB":
            break
    return f"{size:.2f} {unit}" if size < 10 else f"{size:.1f} {unit}"


def count_text(value: int) -> str:
    """Return ``12,345``."""
    return f"{value:,}"


def percent_text(share: float | None) -> str:
    """Return ``98.4 %`` for 0.984."""
    return NOT_MEASURED if share is None else f"{100 * share:.1f} %"


def rate_text(per_second: float | None) -> str:
    """Return ``12,345 messages/s``, with one decimal below ten."""
    if per_second is None:
        return NOT_MEASURED
    return f"{per_second:,.1f} messages/s" if per_second < 10 else f"{per_second:,.0f} messages/s"


def latency_text(value_ns: float | None) -> str:
    """Return ``85 ns``, ``1.20 µs``, ``35.0 ms``, ``2.00 s``."""
    if value_ns is None:
        return NOT_MEASURED
    if value_ns < 1000:
        return f"{value_ns:.0f} ns"
    value = value_ns
    for unit in ("µs", "ms", "s"):
        value /= 1000
        if value < 1000 or unit == "s":
            break
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}"


def duration_text(value_s: float) -> str:
    """Return ``12.3 s``, ``5 min 07 s``, ``3 h 05 min``."""
    if value_s < 60:
        return f"{value_s:.1f} s"
    minutes, seconds = divmod(int(value_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min"
