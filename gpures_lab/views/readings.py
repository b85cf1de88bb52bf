"""What a dashboard draws, as plain numbers: one row a tick, and the busiest grains."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gpures_lab.errors import InvalidOption
from gpures_lab.metrics import from_snapshot
from gpures_lab.metrics.snapshot import STAGES, integer

if TYPE_CHECKING:
    from gpures_lab.grain import Grain, GrainManager
    from gpures_lab.grain.runs import RunProgress
    from gpures_lab.metrics import ResidentMemoryMetrics
    from gpures_lab.metrics.snapshot import Snapshot

__all__ = ["COLUMNS", "GRAIN_COLUMNS", "MOST_GRAINS", "WINDOWS_S", "Reader", "Reading"]

PERCENTS: Final = (50, 95, 99)
LATENCIES: Final = tuple(f"{stage}_p{percent}" for stage in STAGES for percent in PERCENTS)
COLUMNS: Final = (
    "time",
    "used",
    "idle",
    "free",
    "rate",
    "pending",
    "grain_rate",
    "grain_pending",
    "versions",
    "hit_rate",
    *LATENCIES,
)
GRAIN_COLUMNS: Final = (
    "key",
    "messages",
    "pending",
    "failed",
    "mean_us",
    "service_p50_us",
    "service_p99_us",
    "allocations",
    "bytes",
)

MOST_GRAINS: Final = 50
"""Rows of the grain table: more would cost every tick and nobody reads them."""

WINDOWS_S: Final = (0.1, 300.0)

# Snapshots of the past are kept at this share of the window, so that its length costs no memory:
# the window is kept to within 1/64, and 64 snapshots of 12 KiB are all there ever is.
_STEPS: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The figures of one tick.

    Attributes
    ----------
    row
        One number for each name of `COLUMNS`; NaN where nothing was measured. Time is in
        milliseconds since 1970, memory in bytes, latency in nanoseconds.
    grains
        A list for each name of `GRAIN_COLUMNS`: the busiest first, at most `MOST_GRAINS`.
    grain_count
        How many grains there are.
    runs
        Programs that run or wait.
    """

    taken_at: datetime
    metrics: ResidentMemoryMetrics
    row: dict[str, float]
    grains: dict[str, list[object]]
    grain_count: int
    runs: tuple[RunProgress, ...] = ()


class Reader:
    """Turns a manager's counters into rows. Belongs to one thread at a time.

    Parameters
    ----------
    lab
        The manager that is read.
    window_s
        Rate and percentiles cover what happened in the last ``window_s`` seconds.

    Raises
    ------
    InvalidOption
        The window is outside `WINDOWS_S`.
    """

    def __init__(self, lab: GrainManager, *, window_s: float = 5.0) -> None:
        self.lab = lab
        self.grain: str | None = None
        self._window_s = 0.0
        self.window_s = window_s
        self._past: deque[Snapshot] = deque()
        self._grain_before: tuple[str, int, int] | None = None
        self._table: dict[str, list[object]] = {name: [] for name in GRAIN_COLUMNS}

    @property
    def window_s(self) -> float:
        """Seconds that rate and percentiles cover."""
        return self._window_s

    @window_s.setter
    def window_s(self, value: float) -> None:
        least, most = WINDOWS_S
        if not least <= value <= most:
            raise InvalidOption(
                f"window_s={value!r} is out of range; give {least} to {most:.0f} seconds",
                window_s=value,
            )
        self._window_s = value

    def read(self, *, table: bool = True) -> Reading:
        """Take one reading. Costs one snapshot, and with ``table`` one count per grain.

        Without, ``grains`` is as it was read before.

        Raises
        ------
        RingClosed
            The manager was closed.
        """
        self.lab._check_open()  # noqa: SLF001 - the views are drawn from the manager's own counters
        now: Snapshot = self.lab._snapshot()  # noqa: SLF001
        uptime_ns = integer(now, "uptime_ns")
        metrics = from_snapshot(now, self._base(now, uptime_ns))
        grains = self.lab.grains
        taken_at = datetime.now(UTC)
        row = dict.fromkeys(COLUMNS, math.nan)
        row.update(
            time=taken_at.timestamp() * 1e3,
            used=metrics.used_pool_size_bytes,
            idle=metrics.total_pool_size_bytes - metrics.used_pool_size_bytes,
            free=max(0, metrics.pool_limit_bytes - metrics.total_pool_size_bytes),
            rate=_number(metrics.messages_per_second),
            pending=metrics.pending_message_count,
            versions=metrics.kernel_cache_size,
            hit_rate=_number(metrics.kernel_cache_hit_rate),
        )
        for name in LATENCIES:
            row[name] = _number(getattr(metrics, f"{name}_ns"))
        row.update(self._grain_row(grains.get(self.grain or ""), uptime_ns))
        if table:
            self._table = _busiest(list(grains.values()))
        return Reading(
            taken_at=taken_at,
            metrics=metrics,
            row=row,
            grains=self._table,
            grain_count=len(grains),
            runs=self.lab.runs,
        )

    def _base(self, now: Snapshot, uptime_ns: int) -> Snapshot | None:
        """Return the snapshot at the start of the window, and keep ``now`` for later windows."""
        window_ns = int(self._window_s * 1e9)
        past = self._past
        while len(past) > 1 and uptime_ns - integer(past[1], "uptime_ns") >= window_ns:
            past.popleft()
        base = past[0] if past else None
        if not past or uptime_ns - integer(past[-1], "uptime_ns") >= window_ns // _STEPS:
            past.append(now)
        return base

    def _grain_row(self, grain: Grain | None, uptime_ns: int) -> dict[str, float]:
        before = self._grain_before
        self._grain_before = None
        if grain is None:
            return {}
        counts = grain._counts()  # noqa: SLF001
        row: dict[str, float] = {"grain_pending": counts["pending"]}
        self._grain_before = (grain.key, counts["messages"], uptime_ns)
        if before is not None and before[0] == grain.key and uptime_ns > before[2]:
            row["grain_rate"] = (counts["messages"] - before[1]) / (uptime_ns - before[2]) * 1e9
        return row


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _busiest(grains: list[Grain]) -> dict[str, list[object]]:
    counted = [(grain, grain._counts()) for grain in grains]  # noqa: SLF001
    counted.sort(key=lambda pair: (-pair[1]["messages"], pair[0].key))
    table: dict[str, list[object]] = {name: [] for name in GRAIN_COLUMNS}
    for grain, counts in counted[:MOST_GRAINS]:
        messages = counts["messages"]
        _, *percentiles = grain._service(None)  # noqa: SLF001
        values = (
            grain.key,
            messages,
            counts["pending"],
            counts["failed"],
            counts["service_ns"] / messages / 1e3 if messages else math.nan,
            *(math.nan if each is None else each / 1e3 for each in percentiles),
            counts["allocations"],
            counts["bytes"],
        )
        for name, value in zip(GRAIN_COLUMNS, values, strict=True):
            table[name].append(value)
    return table
