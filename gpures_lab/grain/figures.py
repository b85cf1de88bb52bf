"""A manager's figures as they stand, and a grain's own in the same terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpures_lab.kernels.usage import kernel_counts
from gpures_lab.metrics import from_snapshot, histogram

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.grain import Grain
    from gpures_lab.metrics import ResidentMemoryMetrics

__all__ = ["device_snapshot", "grain_metrics"]


def device_snapshot(owner: GrainManager) -> dict[str, object]:
    """Return every counter and histogram of a manager's device, kernels and driver."""
    snapshot: dict[str, object] = dict(owner._engine.snapshot())
    for stage in ("queue", "service", "round_trip"):
        raw = snapshot[f"{stage}_counts"]
        snapshot[f"{stage}_counts"] = np.frombuffer(raw, np.uint64)  # type: ignore[call-overload]
    counts = kernel_counts()
    snapshot.update(
        kernel_cache_size=counts.versions,
        kernel_cache_hits=counts.hits,
        kernel_cache_misses=counts.misses,
        driver=owner.driver.name,
        device_name=owner.driver.device_name,
        device_type=owner.driver.kind,
        start_time=owner.start_time,
    )
    return snapshot


def grain_metrics(grain: Grain, device: dict[str, object]) -> ResidentMemoryMetrics:
    """Return messages, service times, pending and allocations of ``grain``; the rest of ``device``.

    Queue and round trip are None: a grain that counted them too would triple what it takes.
    """
    counts = grain._counts()
    packed, _, _ = grain._service(None)
    nothing = np.zeros(histogram.BUCKETS, np.uint64)
    device.update(
        messages_processed=counts["messages"],
        messages_failed=counts["failed"],
        messages_pending=counts["pending"],
        service_sum_ns=counts["service_ns"],
        allocations_active=counts["allocations"],
        allocations_bytes=counts["bytes"],
        queue_counts=nothing,
        service_counts=histogram.of_grain(packed),
        round_trip_counts=nothing,
    )
    return from_snapshot(device)
