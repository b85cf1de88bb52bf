"""The same work by the ring and by its rivals: outputs poisoned before each run, checked after it.

A rival that is not installed is absent, one that goes wrong is told; no other row goes with it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.gpu.measure import tell
from tests.gpu.steps import portable

__all__ = ["OURS", "Racer", "device_synchronize", "race"]

OURS = "gpures_lab"


class Racer(NamedTuple):
    """One way: ``run`` returns when its outputs are there, ``check`` raises if they are wrong."""

    run: Callable[[], object]
    poison: Callable[[], object]
    check: Callable[[], object]


def race(makers: Mapping[str, Callable[[], Racer]], *, units: int, repeats: int) -> dict[str, Any]:
    """Microseconds a unit, the best and the median of so many repeats; and ours against each.

    Raises
    ------
    RuntimeError
        One went wrong; what the others took is told by then.
    """
    found: dict[str, Any] = {}
    wrong = []
    for name, make in makers.items():
        try:
            spans = _spans(make(), repeats)
        except ImportError as error:
            found[name] = {"absent": str(error)}
        except Exception:  # noqa: BLE001 - told, and raised in the end
            found[name] = {"failed": portable(traceback.format_exc()[-1500:])}
            wrong.append(name)
        else:
            per_unit = np.array(spans) / 1e3 / units
            found[name] = {
                "best_us": float(per_unit.min()),
                "median_us": float(np.median(per_unit)),
                "repeats": repeats,
            }
        ours = found.get(OURS, {}).get("median_us")
        for each in found.values():
            if ours and "median_us" in each:
                each["times_ours"] = each["median_us"] / ours
        tell(found)
    if wrong:
        raise RuntimeError(f"wrong: {', '.join(wrong)}: {found[wrong[0]]['failed']}")
    return found


def _spans(racer: Racer, repeats: int) -> list[int]:
    spans = []
    for turn in range(repeats + 2):  # two to get warm
        racer.poison()
        since = time.perf_counter_ns()
        racer.run()
        spent = time.perf_counter_ns() - since
        racer.check()
        if turn >= 2:
            spans.append(spent)
    return spans


def device_synchronize() -> None:
    """Nothing that poisoned an output may still be under way when the clock starts."""
    import cupy

    cupy.cuda.Device().synchronize()
