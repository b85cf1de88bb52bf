"""Runs under a Python that has Ray: round trips and throughput of one actor, one machine.

Prints one JSON object. Imports nothing of gpures_lab.
"""

from __future__ import annotations

import json
import statistics
import time

import ray

ROUND_TRIPS = 1_000
MESSAGES = 2_000


@ray.remote
class Echo:
    """Answers each call with its number."""

    def echo(self, value: int) -> int:
        """Return it."""
        return value


def main() -> None:
    """Measure."""
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    actor = Echo.remote()
    spans = []
    for n in range(ROUND_TRIPS + 50):
        begin = time.perf_counter()
        assert ray.get(actor.echo.remote(n)) == n
        spans.append(time.perf_counter() - begin)
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        answers = ray.get([actor.echo.remote(n) for n in range(MESSAGES)])
        best = min(best, time.perf_counter() - begin)
        assert answers == list(range(MESSAGES))
    ray.shutdown()
    spans = spans[50:]
    print(
        json.dumps(
            {
                "version": ray.__version__,
                "p50_s": statistics.median(spans),
                "p99_s": statistics.quantiles(spans, n=100)[98],
                "per_s": MESSAGES / best,
            }
        )
    )


if __name__ == "__main__":
    main()
