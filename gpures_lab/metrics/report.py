"""The metrics report, as text and as HTML: one list of lines, drawn twice."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from gpures_lab.metrics.units import (
    bytes_text,
    count_text,
    duration_text,
    latency_text,
    percent_text,
    rate_text,
)

if TYPE_CHECKING:
    from gpures_lab.metrics.resident_memory import ResidentMemoryMetrics

__all__ = ["as_html", "as_text"]

_DRIVERS: Final = {"host": "host (CPU threads)"}
"""A run on the CPU must not be mistaken for one on a GPU, so its driver is spelled out."""


def as_text(metrics: ResidentMemoryMetrics) -> str:
    """Lines of plain text; stable, made for reading and for comparing."""
    lines: list[str] = []
    for title, rows in _sections(metrics):
        lines.append(f"{title}:")
        lines.extend(f"  {label}: {value}" for label, value in rows)
    return "\n".join(lines)


def as_html(metrics: ResidentMemoryMetrics) -> str:
    """The same lines as a table in the colours of the JupyterLab theme."""
    heading = (
        "text-align:left;color:var(--jp-ui-font-color1);"
        "border-bottom:1px solid var(--jp-border-color2)"
    )
    label_style = "text-align:left;color:var(--jp-ui-font-color2)"
    value_style = "text-align:right;color:var(--jp-ui-font-color1)"
    rows: list[str] = []
    for title, lines in _sections(metrics):
        rows.append(f'<tr><th colspan="2" style="{heading}">{html.escape(title)}</th></tr>')
        rows.extend(
            f'<tr><td style="{label_style}">{html.escape(label)}</td>'
            f'<td style="{value_style}">{html.escape(value)}</td></tr>'
            for label, value in lines
        )
    return f"<table>{''.join(rows)}</table>"


def _sections(
    metrics: ResidentMemoryMetrics,
) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    return (
        (
            "Memory Pool",
            (
                ("Total Size", bytes_text(metrics.total_pool_size_bytes)),
                ("Used Size", bytes_text(metrics.used_pool_size_bytes)),
                ("Utilization", percent_text(metrics.pool_utilization)),
                ("Hit Rate", percent_text(metrics.pool_hit_rate)),
                ("Hits", count_text(metrics.pool_hit_count)),
                ("Misses", count_text(metrics.pool_miss_count)),
            ),
        ),
        (
            "Ring Kernel",
            (
                ("Messages Processed", count_text(metrics.total_messages_processed)),
                ("Throughput", rate_text(metrics.messages_per_second)),
                ("Avg Latency", latency_text(metrics.average_message_latency_ns)),
                ("Pending", count_text(metrics.pending_message_count)),
            ),
        ),
        (
            "Allocations",
            (
                ("Active", count_text(metrics.active_allocation_count)),
                ("Total Bytes", bytes_text(metrics.total_allocated_bytes)),
                ("Kernel Cache", count_text(metrics.kernel_cache_size)),
            ),
        ),
        (
            "Device",
            (
                ("Driver", _DRIVERS.get(metrics.driver, metrics.driver)),
                ("Type", metrics.device_type),
                ("Name", metrics.device_name),
                ("Uptime", duration_text(metrics.uptime_s)),
            ),
        ),
    )
