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
    "plural",
    "rate_text",
]

NOT_MEASURED: Final = "–"


def bytes_text(value: int) -> str:
    """Return ``512 B``, ``449.2 KiB``, ``1.50 GiB``."""
    return f"{value} B" if value < 1024 else _scaled(value, 1024, ("KiB", "MiB", "GiB", "TiB"))


def count_text(value: int) -> str:
    """Return ``12,345``."""
    return f"{value:,}"


def plural(value: int, noun: str) -> str:
    """Return ``1 message``, ``12,345 messages``."""
    return f"{value:,} {noun}{'s' * (value != 1)}"


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
    if value_ns < 999.5:  # 999.9 would round to 1000 ns
        return f"{value_ns:.0f} ns"
    return _scaled(value_ns, 1000, ("µs", "ms", "s"))


def duration_text(value_s: float) -> str:
    """Return ``12.3 s``, ``5 min 07 s``, ``3 h 05 min``."""
    if value_s < 59.95:
        return f"{value_s:.1f} s"
    minutes, seconds = divmod(round(value_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min"


def _scaled(value: float, base: int, units: tuple[str, ...]) -> str:
    """``value`` in the first of the growing ``units`` in which it prints as less than ``base``."""
    step = 0
    value /= base
    while value >= base - 0.05 and step + 1 < len(units):  # 1023.96 would print as 1024.0
        value /= base
        step += 1
    return f"{value:.2f} {units[step]}" if value < 9.995 else f"{value:.1f} {units[step]}"
