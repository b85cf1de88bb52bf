"""A grain's own figures, in the terms of its manager's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpures_lab.metrics import from_snapshot, histogram

if TYPE_CHECKING:
    from gpures_lab.grain.grain import Grain
    from gpures_lab.metrics import ResidentMemoryMetrics

__all__ = ["grain_metrics"]


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
