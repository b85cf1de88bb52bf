"""What the figures share: how often, how long at most, and how spans are told."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "COUNT", "LIMIT_S", "NEVER", "WARM", "busy_program", "median_us", "summary", "tell", "timed",
]  # fmt: skip

COUNT = 20_000
WARM = 2_000
LIMIT_S = 15  # below every figure's budget: a wait that is over says more than a kill
NEVER = 2**62
REPEATS = 30
LEAST = 10_000


def tell(found: dict[str, Any]) -> None:
    """Print what is known so far: the last line counts, should the rest never come."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def summary(spans_ns: Any, *, least: int | None = None) -> dict[str, float]:
    """Percentiles of at least so many spans (`LEAST`).

    Raises
    ------
    RuntimeError
        There are fewer.
    """
    spans = np.sort(np.asarray(spans_ns, np.float64))
    if least is None:
        least = LEAST
    if spans.size < least:
        raise RuntimeError(f"only {spans.size} of the {least:,} measurements that a row needs")
    return {
        "p50_ns": float(np.percentile(spans, 50)),
        "p99_ns": float(np.percentile(spans, 99)),
        "max_ns": float(spans[-1]),
        "count": float(spans.size),
    }


def timed(call: Callable[[], Any], count: int | None = None, warm: int | None = None) -> Any:
    """Nanoseconds of each of so many calls (`COUNT`), the warm-up (`WARM`) left out."""
    count, warm = COUNT if count is None else count, WARM if warm is None else warm
    spans = np.empty(warm + count)
    clock = time.perf_counter_ns
    for n in range(spans.size):
        since = clock()
        call()
        spans[n] = clock() - since
    return spans[warm:]


def median_us(call: Callable[[], Any]) -> float:
    """Microseconds of the middle one of `REPEATS` calls."""
    return float(statistics.median(timed(call, REPEATS, 0))) / 1e3


def busy_program(grain: Any, repeat: int) -> tuple[Any, Any]:
    """Start a program of so many steps; its completion, and what must hold ``repeat`` after."""
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    with grain.record() as step:
        grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
    return step.run(repeat=repeat), x
