"""Single round trips: percentiles from every span, the clock's own cost taken off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.benchmarks.duel import duration

__all__ = ["Latency", "round_trips"]


class Latency(NamedTuple):
    """Seconds; ``spans_s`` are all of them."""

    p50_s: float
    p99_s: float
    p999_s: float
    max_s: float
    spans_s: np.ndarray

    def text(self) -> str:
        """The percentiles in one line."""
        names = ("p50", "p99", "p99.9", "max")
        return ", ".join(f"{n} {duration(v)}" for n, v in zip(names, self[:4], strict=True))

    def figures(self) -> dict[str, float]:
        """Percentiles for JSON, with a few hundred quantiles to draw."""
        found: dict[str, object] = dict(zip(self._fields[:4], self[:4], strict=True))
        found["count"] = self.spans_s.size
        found["quantiles_s"] = np.quantile(self.spans_s, QUANTILES).tolist()
        return found  # type: ignore[return-value]


# Dense towards the tail, where round trips differ.
QUANTILES = 1 - np.geomspace(1, 1e-4, 200)


def round_trips(call: Callable[[int], object], count: int, warm_up: int = 1_000) -> Latency:
    """Time ``call(n)`` for each n; it returns when its answer is there."""
    spans = np.empty(count)
    clock = np.empty(count)
    now = time.perf_counter_ns
    for n in range(warm_up):
        call(n)
    for n in range(count):
        begin = now()
        call(n)
        spans[n] = now() - begin
        begin = now()
        clock[n] = now() - begin
    spans = np.maximum(spans - np.median(clock), 0) / 1e9
    p50, p99, p999 = np.quantile(spans, (0.5, 0.99, 0.999))
    return Latency(float(p50), float(p99), float(p999), float(spans.max()), spans)
