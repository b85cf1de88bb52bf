"""Snapshots made by hand, as the engine hands them over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpures_lab.metrics import histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def histogram_of(values: Iterable[int] = ()) -> NDArray[np.uint64]:
    """Count some values."""
    counts = np.zeros(histogram.BUCKETS, np.uint64)
    for value in values:
        counts[histogram.bucket_of(value)] += 1
    return counts


@pytest.fixture
def counted() -> Callable[[Iterable[int]], NDArray[np.uint64]]:
    """Return the maker of histograms."""
    return histogram_of


@pytest.fixture
def make_snapshot() -> Callable[..., dict[str, object]]:
    """Return the maker of snapshots: an engine that did nothing, but for the keys given."""

    def make(**changed: object) -> dict[str, object]:
        snapshot: dict[str, object] = {
            "pool_used_bytes": 0,
            "pool_idle_bytes": 0,
            "pool_limit_bytes": 1 << 30,
            "pool_high_water_bytes": 0,
            "pool_hits": 0,
            "pool_misses": 0,
            "pool_evictions": 0,
            "exported_blocks": 0,
            "messages_posted": 0,
            "messages_processed": 0,
            "messages_failed": 0,
            "failures_unobserved": 0,
            "messages_pending": 0,
            "messages_held": 0,
            "allocations_active": 0,
            "allocations_bytes": 0,
            "grains_active": 0,
            "launches": 0,
            "parks": 0,
            "engine_state": "CREATED",
            "uptime_ns": 0,
            "now_ns": 1_000_000_000,
            "queue_sum_ns": 0,
            "queue_counts": histogram_of(),
            "service_sum_ns": 0,
            "service_counts": histogram_of(),
            "round_trip_sum_ns": 0,
            "round_trip_counts": histogram_of(),
            "kernel_cache_size": 0,
            "kernel_cache_hits": 0,
            "kernel_cache_misses": 0,
            "driver": "host",
            "device_name": "Test CPU @ 3 GHz",
            "device_type": "cpu",
            "start_time": START,
        }
        unknown = changed.keys() - snapshot.keys()
        assert not unknown, f"the engine hands over no {unknown}"
        return snapshot | changed

    return make
