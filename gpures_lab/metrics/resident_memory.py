"""The figures of one moment, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpures_lab.metrics import histogram, report
from gpures_lab.metrics.snapshot import STAGES, Snapshot, counts, integer, text, time

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["ResidentMemoryMetrics", "from_snapshot"]

_NS_PER_S = 1e9
PERCENTS: Final = (50, 95, 99)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidentMemoryMetrics:
    """What the pool, the rings and the kernel cache did so far.

    The first sixteen names are fixed. ``None`` means *not measured*: nothing was there to measure
    yet. It is never a stand-in for zero.

    Attributes
    ----------
    total_pool_size_bytes
        Bytes the pool holds: used, and idle ones kept for reuse.
    pool_utilization
        Used bytes as a share of ``total_pool_size_bytes``.
    messages_per_second
        Over the last ``window_s`` seconds.
    average_message_latency_ns
        Mean service time (taken to done, by the worker's clock) since the start.
    device_type
        ``"cpu"`` or ``"gpu"``.
    start_time
        When the engine was made, UTC.
    queue_p50_ns, queue_p95_ns, queue_p99_ns
        Posted to taken, over the window; upper bounds, at most 12.5 % above the true value.
    service_p50_ns, service_p95_ns, service_p99_ns
        Taken to done, likewise.
    round_trip_p50_ns, round_trip_p95_ns, round_trip_p99_ns
        Posted to seen by the host, likewise.
    exported_blocks
        Blocks that an array outside the pool still looks at.
    errors
        Messages that failed.
    unobserved_failures
        Failed messages whose completion nobody has looked at.
    window_s
        What the rate and the percentiles cover: the whole uptime, or since the snapshot before.
    """

    total_pool_size_bytes: int
    used_pool_size_bytes: int
    pool_utilization: float | None
    pool_hit_count: int
    pool_miss_count: int
    pool_hit_rate: float | None
    total_messages_processed: int
    messages_per_second: float | None
    average_message_latency_ns: float | None
    pending_message_count: int
    active_allocation_count: int
    total_allocated_bytes: int
    kernel_cache_size: int
    device_type: str
    device_name: str
    start_time: datetime
    queue_p50_ns: int | None
    queue_p95_ns: int | None
    queue_p99_ns: int | None
    service_p50_ns: int | None
    service_p95_ns: int | None
    service_p99_ns: int | None
    round_trip_p50_ns: int | None
    round_trip_p95_ns: int | None
    round_trip_p99_ns: int | None
    evictions: int
    exported_blocks: int
    errors: int
    kernel_cache_hit_rate: float | None
    engine_state: str
    parks: int
    relaunches: int
    grains: int
    driver: str
    uptime_s: float
    window_s: float
    pool_limit_bytes: int
    pool_high_water_bytes: int
    held_message_count: int
    unobserved_failures: int

    def __str__(self) -> str:
        return report.as_text(self)

    def _repr_html_(self) -> str:
        return report.as_html(self)


def from_snapshot(snapshot: Snapshot, previous: Snapshot | None = None) -> ResidentMemoryMetrics:
    """Work out the figures from the engine's counters.

    Parameters
    ----------
    snapshot
        Counters and histograms of one moment.
    previous
        An earlier snapshot of the same engine. With it, rate and percentiles cover only what lies
        between the two; without, everything since the start.

    Raises
    ------
    ValueError
        ``previous`` is not an earlier snapshot of the same engine.
    """
    used = integer(snapshot, "pool_used_bytes")
    total = used + integer(snapshot, "pool_idle_bytes")
    hits, misses = integer(snapshot, "pool_hits"), integer(snapshot, "pool_misses")
    cache_hits = integer(snapshot, "kernel_cache_hits")
    cache_misses = integer(snapshot, "kernel_cache_misses")
    processed = integer(snapshot, "messages_processed")

    window_ns = integer(snapshot, "uptime_ns")
    in_window = processed
    histograms = {stage: counts(snapshot, stage) for stage in STAGES}
    if previous is not None:
        window_ns = integer(snapshot, "now_ns") - integer(previous, "now_ns")
        in_window = processed - integer(previous, "messages_processed")
        if window_ns < 0 or in_window < 0:
            raise ValueError(
                f"the previous snapshot is {-window_ns} ns and {-in_window} messages ahead: "
                "it is later, or of another engine"
            )
        histograms = {
            stage: histogram.difference(newer, counts(previous, stage))
            for stage, newer in histograms.items()
        }

    percentiles = {
        f"{stage}_p{percent}_ns": found
        for stage in STAGES
        for percent, found in zip(
            PERCENTS, histogram.percentiles(histograms[stage], *PERCENTS), strict=True
        )
    }
    return ResidentMemoryMetrics(
        total_pool_size_bytes=total,
        used_pool_size_bytes=used,
        pool_utilization=_share(used, total),
        pool_hit_count=hits,
        pool_miss_count=misses,
        pool_hit_rate=_share(hits, hits + misses),
        total_messages_processed=processed,
        messages_per_second=in_window * _NS_PER_S / window_ns if window_ns else None,
        average_message_latency_ns=_share(integer(snapshot, "service_sum_ns"), processed),
        pending_message_count=integer(snapshot, "messages_pending"),
        active_allocation_count=integer(snapshot, "allocations_active"),
        total_allocated_bytes=integer(snapshot, "allocations_bytes"),
        kernel_cache_size=integer(snapshot, "kernel_cache_size"),
        device_type=text(snapshot, "device_type"),
        device_name=text(snapshot, "device_name"),
        start_time=time(snapshot, "start_time"),
        **percentiles,
        evictions=integer(snapshot, "pool_evictions"),
        exported_blocks=integer(snapshot, "exported_blocks"),
        errors=integer(snapshot, "messages_failed"),
        kernel_cache_hit_rate=_share(cache_hits, cache_hits + cache_misses),
        engine_state=text(snapshot, "engine_state"),
        parks=integer(snapshot, "parks"),
        # The first launch is no relaunch.
        relaunches=max(0, integer(snapshot, "launches") - 1),
        grains=integer(snapshot, "grains_active"),
        driver=text(snapshot, "driver"),
        uptime_s=integer(snapshot, "uptime_ns") / _NS_PER_S,
        window_s=window_ns / _NS_PER_S,
        pool_limit_bytes=integer(snapshot, "pool_limit_bytes"),
        pool_high_water_bytes=integer(snapshot, "pool_high_water_bytes"),
        held_message_count=integer(snapshot, "messages_held"),
        unobserved_failures=integer(snapshot, "failures_unobserved"),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
