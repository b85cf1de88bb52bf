"""What does it cost to use grains that do not fit, beside writing and reading the same bytes?"""

from __future__ import annotations

from tests.benchmarks.row import Row
from tests.soak.swaps import swaps

__all__ = ["run"]

TIMES, USES = 10, 400


def run() -> list[Row]:
    """Use ten pools' worth of grains at random."""
    seen = swaps(TIMES, USES, seed=1)
    cost = seen.cost_per_swap_ms or 0.0
    return [
        Row(
            what=f"{seen.grains} grains worth {TIMES} x the pool limit, in turn",
            measured=f"{cost:.1f} ms a swap of {seen.grain_bytes >> 20} MiB out and in, "
            f"{seen.swaps} swaps, {seen.wrong} wrong",
            wanted="right values; cost reported",
            met=seen.wrong == 0,
            figures={"cost_per_swap_ms": cost, "swaps": seen.swaps, "wrong": seen.wrong},
        )
    ]
