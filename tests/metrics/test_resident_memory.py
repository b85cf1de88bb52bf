"""The figures: what each is worked out from, and how they print."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from gpures_lab.metrics import ResidentMemoryMetrics, from_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    MakeSnapshot = Callable[..., dict[str, object]]
    Counted = Callable[[Iterable[int]], NDArray[np.uint64]]


def test_the_first_sixteen_names_are_fixed() -> None:
    """Would catch: a rename that breaks everybody who reads the metrics."""
    assert [field.name for field in fields(ResidentMemoryMetrics)][:16] == [
        "total_pool_size_bytes",
        "used_pool_size_bytes",
        "pool_utilization",
        "pool_hit_count",
        "pool_miss_count",
        "pool_hit_rate",
        "total_messages_processed",
        "messages_per_second",
        "average_message_latency_ns",
        "pending_message_count",
        "active_allocation_count",
        "total_allocated_bytes",
        "kernel_cache_size",
        "device_type",
        "device_name",
        "start_time",
    ]


def test_an_engine_that_did_nothing_measured_nothing(make_snapshot: MakeSnapshot) -> None:
    """Would catch: a hit rate of 0 % printed before anything was rented."""
    metrics = from_snapshot(make_snapshot())
    unmeasured = {field.name for field in fields(metrics) if getattr(metrics, field.name) is None}
    assert unmeasured == {
        "pool_utilization",
        "pool_hit_rate",
        "messages_per_second",
        "average_message_latency_ns",
        "kernel_cache_hit_rate",
        *(
            f"{stage}_p{percent}_ns"
            for stage in ("queue", "service", "round_trip")
            for percent in (50, 95, 99)
        ),
    }
    assert metrics.relaunches == 0


def test_pool_figures(make_snapshot: MakeSnapshot) -> None:
    metrics = from_snapshot(
        make_snapshot(pool_used_bytes=300, pool_idle_bytes=100, pool_hits=9, pool_misses=1)
    )
    assert metrics.total_pool_size_bytes == 400
    assert metrics.used_pool_size_bytes == 300
    assert metrics.pool_utilization == 0.75
    assert metrics.pool_hit_rate == 0.9


def test_without_a_previous_snapshot_the_window_is_the_uptime(make_snapshot: MakeSnapshot) -> None:
    metrics = from_snapshot(
        make_snapshot(messages_processed=100, uptime_ns=2_000_000_000, service_sum_ns=50_000)
    )
    assert metrics.messages_per_second == 50.0
    assert metrics.average_message_latency_ns == 500.0
    assert metrics.window_s == 2.0


def test_with_a_previous_snapshot_only_the_time_between_counts(
    make_snapshot: MakeSnapshot, counted: Counted
) -> None:
    """Would catch: a rate and a p99 that still show what happened an hour ago."""
    slow, fast = [1_000_000] * 50, [10] * 50
    before = make_snapshot(
        messages_processed=50, now_ns=10_000_000_000, service_counts=counted(slow)
    )
    after = make_snapshot(
        messages_processed=100,
        now_ns=10_500_000_000,
        uptime_ns=9_000_000_000,
        service_counts=counted(slow + fast),
    )
    metrics = from_snapshot(after, before)
    assert metrics.messages_per_second == 100.0
    assert metrics.window_s == 0.5
    assert (metrics.service_p50_ns, metrics.service_p99_ns) == (10, 10)
    whole = from_snapshot(after)
    assert whole.service_p99_ns is not None
    assert whole.service_p99_ns >= 1_000_000


def test_each_stage_reads_its_own_histogram(make_snapshot: MakeSnapshot, counted: Counted) -> None:
    """Would catch: queue time printed as service time."""
    metrics = from_snapshot(
        make_snapshot(
            queue_counts=counted([1, 2, 3]),
            service_counts=counted([4, 5, 6]),
            round_trip_counts=counted([7, 8, 9]),
        )
    )
    assert (metrics.queue_p50_ns, metrics.queue_p95_ns, metrics.queue_p99_ns) == (2, 3, 3)
    assert (metrics.service_p50_ns, metrics.service_p95_ns, metrics.service_p99_ns) == (5, 6, 6)
    assert (metrics.round_trip_p50_ns, metrics.round_trip_p95_ns) == (8, 9)


@pytest.mark.parametrize(
    "earlier", [{"now_ns": 2_000_000_000}, {"messages_processed": 1}], ids=["time", "messages"]
)
def test_a_previous_snapshot_of_another_engine_is_refused(
    make_snapshot: MakeSnapshot, earlier: dict[str, object]
) -> None:
    """Would catch: a negative rate after the manager was made anew."""
    with pytest.raises(ValueError, match="later, or of another engine"):
        from_snapshot(make_snapshot(), make_snapshot(**earlier))


def test_every_other_figure_comes_from_its_own_key(make_snapshot: MakeSnapshot) -> None:
    """Would catch: two counters swapped; every key has a value of its own."""
    metrics = from_snapshot(
        make_snapshot(
            pool_limit_bytes=1,
            pool_high_water_bytes=2,
            pool_evictions=3,
            exported_blocks=4,
            messages_failed=5,
            failures_unobserved=6,
            messages_pending=7,
            messages_held=8,
            allocations_active=9,
            allocations_bytes=10,
            grains_active=11,
            launches=13,
            parks=14,
            kernel_cache_size=15,
            kernel_cache_hits=3,
            kernel_cache_misses=1,
            engine_state="PARKED",
        )
    )
    assert {
        "pool_limit_bytes": metrics.pool_limit_bytes,
        "pool_high_water_bytes": metrics.pool_high_water_bytes,
        "evictions": metrics.evictions,
        "exported_blocks": metrics.exported_blocks,
        "errors": metrics.errors,
        "unobserved_failures": metrics.unobserved_failures,
        "pending": metrics.pending_message_count,
        "held": metrics.held_message_count,
        "allocations": metrics.active_allocation_count,
        "bytes": metrics.total_allocated_bytes,
        "grains": metrics.grains,
        "relaunches": metrics.relaunches,
        "parks": metrics.parks,
        "kernels": metrics.kernel_cache_size,
        "rate": metrics.kernel_cache_hit_rate,
        "state": metrics.engine_state,
    } == {
        "pool_limit_bytes": 1,
        "pool_high_water_bytes": 2,
        "evictions": 3,
        "exported_blocks": 4,
        "errors": 5,
        "unobserved_failures": 6,
        "pending": 7,
        "held": 8,
        "allocations": 9,
        "bytes": 10,
        "grains": 11,
        "relaunches": 12,
        "parks": 14,
        "kernels": 15,
        "rate": 0.75,
        "state": "PARKED",
    }


def test_the_report_word_for_word(make_snapshot: MakeSnapshot) -> None:
    metrics = from_snapshot(
        make_snapshot(
            pool_used_bytes=460_000,
            pool_idle_bytes=40_000,
            pool_hits=3,
            pool_misses=1,
            messages_processed=12_345,
            service_sum_ns=12_345 * 1_200,
            messages_pending=2,
            allocations_active=3,
            allocations_bytes=459_000,
            kernel_cache_size=4,
            uptime_ns=10_000_000_000,
        )
    )
    assert str(metrics) == (
        "Memory Pool:\n"
        "  Total Size: 488.3 KiB\n"
        "  Used Size: 449.2 KiB\n"
        "  Utilization: 92.0 %\n"
        "  Hit Rate: 75.0 %\n"
        "  Hits: 3\n"
        "  Misses: 1\n"
        "Ring Kernel:\n"
        "  Messages Processed: 12,345\n"
        "  Throughput: 1,234 messages/s\n"
        "  Avg Latency: 1.20 µs\n"
        "  Pending: 2\n"
        "Allocations:\n"
        "  Active: 3\n"
        "  Total Bytes: 448.2 KiB\n"
        "  Kernel Cache: 4\n"
        "Device:\n"
        "  Driver: host (CPU threads)\n"
        "  Type: cpu\n"
        "  Name: Test CPU @ 3 GHz\n"
        "  Uptime: 10.0 s"
    )


def test_the_report_marks_what_was_not_measured(make_snapshot: MakeSnapshot) -> None:
    """Would catch: `None` or `0 %` in the report."""
    lines = str(from_snapshot(make_snapshot(driver="cuda", device_type="gpu"))).splitlines()
    assert {line.strip() for line in lines if "–" in line} == {
        "Utilization: –",
        "Hit Rate: –",
        "Throughput: –",
        "Avg Latency: –",
    }
    assert "  Driver: cuda" in lines
    assert not any("None" in line for line in lines)


def test_html_escapes_what_the_machine_says(make_snapshot: MakeSnapshot) -> None:
    """Would catch: a device name that is read as markup."""
    page = from_snapshot(make_snapshot(device_name="<script>&"))._repr_html_()
    assert "&lt;script&gt;&amp;" in page
    assert "<script" not in page
    assert "var(--jp-ui-font-color1)" in page


def test_html_shows_the_lines_of_the_text(make_snapshot: MakeSnapshot) -> None:
    metrics = from_snapshot(make_snapshot(messages_processed=7, uptime_ns=10**9))
    page = metrics._repr_html_()
    for line in str(metrics).splitlines():
        for part in line.strip().removesuffix(":").split(": ", 1):
            assert f">{part}</t" in page


def test_a_snapshot_with_a_wrong_type_names_the_key(make_snapshot: MakeSnapshot) -> None:
    with pytest.raises(TypeError, match=r"snapshot\['parks'\] is 'many', not an integer"):
        from_snapshot(make_snapshot(parks="many"))
