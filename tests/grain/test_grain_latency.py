"""A grain's own service times: every message once, percentiles as the histogram reads them."""

from __future__ import annotations

import gpures_lab as gl
from gpures_lab.metrics.histogram import of_grain, percentile

LIMIT_S = 30.0


def test_every_message_of_the_grain_is_counted_once(any_lab: gl.GrainManager) -> None:
    """Would catch: a message of another grain counted here, or a count lost as the range grows."""
    mine, other = any_lab.grain("mine"), any_lab.grain("other")
    for size in (1, 100, 10_000, 3):
        x = mine.allocate(size)
        mine.compute("kernels/Add", inputs=[x, x], outputs=[x])
        other.ping()
    mine.barrier().result(LIMIT_S)
    packed, _, _ = mine._service(None)
    assert of_grain(packed).sum() == mine._counts()["messages"]


def test_percentiles_are_those_of_the_counts(any_lab: gl.GrainManager) -> None:
    """Would catch: a rank off by one in native code, or a bound of the wrong bucket."""
    grain = any_lab.grain()
    x = grain.allocate(50_000)
    for number in range(90):
        if number % 30 == 0:
            grain.compute("kernels/Sqrt", inputs=[x], outputs=[x])
        grain.ping()
    grain.barrier().result(LIMIT_S)
    packed, p50, p99 = grain._service(None)
    counts = of_grain(packed)
    assert (p50, p99) == (percentile(counts, 50), percentile(counts, 99))
    metrics = grain.metrics()
    assert (metrics.service_p50_ns, metrics.service_p99_ns) == (p50, p99)
    assert metrics.queue_p50_ns is metrics.round_trip_p50_ns is None


def test_percentiles_since_an_earlier_count_know_only_what_came_after(
    any_lab: gl.GrainManager,
) -> None:
    """Would catch: percentiles since the start, or a difference over ranges that do not match."""
    grain = any_lab.grain()
    x = grain.allocate(200_000)
    grain.compute("kernels/Sqrt", inputs=[x], outputs=[x]).result(LIMIT_S)
    older, slow, _ = grain._service(None)
    assert grain._service(older) == (older, None, None)
    for _ in range(40):
        grain.ping()
    grain.barrier().result(LIMIT_S)
    newer, p50, p99 = grain._service(older)
    since = of_grain(newer) - of_grain(older)
    assert since.sum() == 41
    assert (p50, p99) == (percentile(since, 50), percentile(since, 99))
    assert slow is not None


def test_a_grain_without_messages_holds_no_counts(any_lab: gl.GrainManager) -> None:
    """Would catch: a histogram made with the grain, and ten thousand idle ones paid for."""
    packed, p50, p99 = any_lab.grain("idle")._service(None)
    assert (len(packed), p50, p99) == (8, None, None)
