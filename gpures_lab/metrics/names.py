"""The name of every exported metric: dashboards outside depend on them, so they stand here alone.

Prometheus rules: base units (bytes, seconds), ``_total`` on counters, one prefix. A name that is
removed or changes its meaning needs a major version; a test holds the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["BUILD_INFO", "LATENCY", "METRICS", "QUANTILES", "MetricName"]


@dataclass(frozen=True, slots=True)
class MetricName:
    """One exported series.

    Attributes
    ----------
    name
        As Prometheus shows it.
    kind
        A counter only grows; a gauge may fall.
    field
        Field of `ResidentMemoryMetrics` that it comes from.
    help
        What it counts, in the words of the documentation.
    by_grain
        Whether a grain has one of its own; the others are the device's alone.
    """

    name: str
    kind: Literal["counter", "gauge"]
    field: str
    help: str
    by_grain: bool = False


METRICS: Final = (
    MetricName("gpures_pool_size_bytes", "gauge", "total_pool_size_bytes", "Bytes the pool holds"),
    MetricName("gpures_pool_used_bytes", "gauge", "used_pool_size_bytes", "Pool bytes in use"),
    MetricName("gpures_pool_limit_bytes", "gauge", "pool_limit_bytes", "Bytes the pool may hold"),
    MetricName(
        "gpures_pool_high_water_bytes", "gauge", "pool_high_water_bytes", "Most bytes ever in use"
    ),
    MetricName("gpures_pool_hits_total", "counter", "pool_hit_count", "Rents served from the pool"),
    MetricName(
        "gpures_pool_misses_total", "counter", "pool_miss_count", "Rents that needed new memory"
    ),
    MetricName("gpures_pool_evictions_total", "counter", "evictions", "Idle blocks given back"),
    MetricName(
        "gpures_pool_exported_blocks", "gauge", "exported_blocks", "Blocks an array outside holds"
    ),
    MetricName(
        "gpures_messages_processed_total",
        "counter",
        "total_messages_processed",
        "Messages completed",
        by_grain=True,
    ),
    MetricName(
        "gpures_messages_failed_total", "counter", "errors", "Messages that failed", by_grain=True
    ),
    MetricName(
        "gpures_messages_pending",
        "gauge",
        "pending_message_count",
        "Messages not done yet",
        by_grain=True,
    ),
    MetricName("gpures_messages_held", "gauge", "held_message_count", "Messages held back"),
    MetricName(
        "gpures_failures_unobserved",
        "gauge",
        "unobserved_failures",
        "Failed messages whose completion nobody has looked at",
    ),
    MetricName(
        "gpures_allocations_active",
        "gauge",
        "active_allocation_count",
        "Allocations not released",
        by_grain=True,
    ),
    MetricName(
        "gpures_allocations_bytes",
        "gauge",
        "total_allocated_bytes",
        "Bytes of those allocations",
        by_grain=True,
    ),
    MetricName("gpures_grains_active", "gauge", "grains", "Grains with an activation"),
    MetricName(
        "gpures_kernel_cache_kernels", "gauge", "kernel_cache_size", "Compiled kernels in memory"
    ),
    MetricName("gpures_parks_total", "counter", "parks", "Times the ring kernel left the device"),
    MetricName("gpures_relaunches_total", "counter", "relaunches", "Times it was launched again"),
    MetricName("gpures_uptime_seconds", "gauge", "uptime_s", "Age of the engine"),
)

LATENCY: Final = "gpures_message_latency_seconds"
"""Gauge with the labels ``stage`` (queue, service, round_trip) and ``quantile``."""

QUANTILES: Final = (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))

BUILD_INFO: Final = "gpures_info"
"""Always 1; the labels ``driver``, ``device_type``, ``device_name``, ``state`` say what runs."""
