"""What a Compute's completion gives."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ComputeResult", "compute_result"]


class ComputeResult(NamedTuple):
    """Times of one Compute, on the worker's clock except the round trip.

    Attributes
    ----------
    execution_time_ns
        Taken to done.
    queue_ns
        Posted to taken.
    round_trip_ns
        Posted to the completion's arrival on the host.
    kernel
        Its name.
    cache_hit
        Whether the kernel's version for these dtypes was at hand, without looking on disk.
    driver
        ``"host"`` or ``"cuda"``.
    """

    execution_time_ns: int
    queue_ns: int
    round_trip_ns: int
    kernel: str
    cache_hit: bool
    driver: str


def compute_result(
    execution_ns: int, queue_ns: int, round_trip_ns: int, kernel: str, cache_hit: bool
) -> ComputeResult:
    """Build the result for the native binding; the host driver is the only one there."""
    return ComputeResult(execution_ns, queue_ns, round_trip_ns, kernel, cache_hit, "host")
