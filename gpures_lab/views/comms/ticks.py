"""The frame that telemetry sends some times a second, never above its limit."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gpures_lab.views.comms.grain_rows import GrainRow
from gpures_lab.views.comms.protocol import BUSIEST, TICK_BYTES, Frame, encoded, plain

if TYPE_CHECKING:
    from gpures_lab.views.comms.commands import Outcome
    from gpures_lab.views.comms.sampling import Look

__all__ = ["idle_frame", "tick_frame"]


def idle_frame(sequence: int, outcomes: Iterable[Outcome] = ()) -> Frame:
    """Return the frame of a kernel that has loaded gpures_lab and opened no manager."""
    return {"kind": "idle", "seq": sequence, "outcomes": [each.to_json() for each in outcomes]}


def tick_frame(sequence: int, look: Look, outcomes: Iterable[Outcome] = ()) -> Frame:
    """Return totals and the busiest grains; as many of them as fit below `TICK_BYTES`."""
    metrics = look.metrics
    frame: Frame = {
        "kind": "tick",
        "seq": sequence,
        "driver": look.driver,
        "device": look.device,
        "engine": metrics.engine_state,
        "parks": metrics.parks,
        "messages": metrics.total_messages_processed,
        "failed": metrics.errors,
        "allocations": metrics.active_allocation_count,
        "bytes": metrics.total_allocated_bytes,
        "limit": metrics.pool_limit_bytes,
        "window_s": round(metrics.window_s, 3),
        "grains": len(look.grains),
        "row": dict(look.row),
        "outcomes": [each.to_json() for each in outcomes],
    }
    room = TICK_BYTES - len(encoded(frame)) - len(',"busiest":[]')
    busiest: list[list[object]] = []
    for row in heapq.nsmallest(BUSIEST, look.grains, key=_rank):
        values = [plain(v) if isinstance(v, float) else v for v in row.values()]
        room -= len(encoded(values)) + 1
        if room < 0:  # keys may have 512 bytes; the others are a query away
            break
        busiest.append(values)
    frame["busiest"] = busiest
    return frame


def _rank(row: GrainRow) -> tuple[float, float, str]:
    return (-(row.rate or 0.0), -row.messages, row.key)
