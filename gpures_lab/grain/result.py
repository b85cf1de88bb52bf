"""What a Compute's completion gives."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ComputeResult", "RunResult", "compute_result"]


class ComputeResult(NamedTuple):
    """Times of one Compute, on the worker's clock except the round trip.

    Attributes
    ----------
    execution_time_ns
        Taken to done.
    queue_ns
        Posted to taken; None while the device's clock is not fitted to the host's.
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
    queue_ns: int | None
    round_trip_ns: int
    kernel: str
    cache_hit: bool
    driver: str


class RunResult(NamedTuple):
    """What a program run gives; times on the worker's clock except the round trip.

    Attributes
    ----------
    iterations
        How often the steps ran; less than ``repeat`` when ``until`` ended the run.
    steps
        Messages that were replayed.
    execution_time_ns
        Taken to done, over all launches that the run took.
    queue_ns
        Posted to taken; None while the device's clock is not fitted to the host's.
    round_trip_ns
        Posted to the completion's arrival on the host.
    driver
        ``"host"`` or ``"cuda"``.
    """

    iterations: int
    steps: int
    execution_time_ns: int
    queue_ns: int | None
    round_trip_ns: int
    driver: str


def compute_result(  # noqa: PLR0917 - called by position from native code
    execution_ns: int,
    queue_ns: int | None,
    round_trip_ns: int,
    kernel: str,
    cache_hit: bool,
    driver: str,
) -> ComputeResult:
    """Build the result for the native binding."""
    return ComputeResult(execution_ns, queue_ns, round_trip_ns, kernel, cache_hit, driver)
