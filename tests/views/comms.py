"""A comm without a kernel, and frames of fixed content."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab.metrics import from_snapshot
from gpures_lab.views.comms.grain_rows import GrainRow
from gpures_lab.views.comms.sampling import Look
from gpures_lab.views.readings import COLUMNS
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FakeComm", "grain_row", "look", "message"]


class FakeComm:
    """Keeps what is sent, and lets a test wait for it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.buffers: list[bytes] = []
        self.senders: set[int] = set()
        self.closed = False
        self.broken = False
        self.heard: Callable[[Any], None] = lambda _: None
        self.closing: Callable[[Any], None] = lambda _: None
        self._news = threading.Condition()

    def send(self, data: Any = None, buffers: list[bytes] | None = None) -> None:
        if self.broken:
            raise OSError("the socket is gone")
        with self._news:
            self.senders.add(threading.get_ident())
            self.sent.append(data)
            self.buffers += buffers or []
            self._news.notify_all()

    def on_msg(self, call: Callable[[Any], None]) -> None:
        self.heard = call

    def on_close(self, call: Callable[[Any], None]) -> None:
        self.closing = call

    def close(self) -> None:
        self.closed = True

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in list(self.sent) if each["kind"] == kind]

    def wait_for(self, true: Callable[[], object]) -> None:
        with self._news:
            assert self._news.wait_for(lambda: bool(true()), LIMIT_S), self.sent[-3:]


def message(**data: Any) -> dict[str, Any]:
    return {"header": {}, "content": {"data": data}}


def grain_row(key: str, number: int = 1) -> GrainRow:
    return GrainRow(
        key=key,
        state="active",
        ring=0,
        bytes=4096 * number,
        allocations=number,
        messages=1000 * number,
        pending=0,
        failed=0,
        rate=12.5 * number,
        mean_ns=None if number % 2 else 640.0,
        service_p50_ns=None if number % 2 else 575,
        service_p99_ns=None if number % 2 else 1279,
    )


def look(*grains: GrainRow) -> Look:
    """Return a look whose every number is fixed."""
    histogram = np.zeros(496, np.uint64)
    histogram[40] = 100
    snapshot: dict[str, object] = dict.fromkeys(
        (
            "pool_hits", "pool_misses", "kernel_cache_hits", "kernel_cache_misses",
            "messages_failed", "pool_evictions", "exported_blocks", "messages_held",
            "failures_unobserved",
        ), 0,
    )  # fmt: skip
    snapshot |= {
        "pool_used_bytes": 6144,
        "pool_idle_bytes": 2048,
        "pool_limit_bytes": 1 << 30,
        "pool_high_water_bytes": 8192,
        "messages_processed": 4200,
        "messages_pending": 3,
        "uptime_ns": 2_000_000_000,
        "now_ns": 2_000_000_000,
        "service_sum_ns": 4_200_000,
        "allocations_active": 5,
        "allocations_bytes": 6144,
        "grains_active": len(grains),
        "kernel_cache_size": 2,
        "parks": 7,
        "launches": 8,
        "engine_state": "RUNNING",
        "driver": "host",
        "device_name": "A processor",
        "device_type": "cpu",
        "start_time": datetime(2026, 11, 24, tzinfo=UTC),
        "queue_counts": histogram,
        "service_counts": histogram,
        "round_trip_counts": histogram * 0,
    }
    row: dict[str, float | None] = dict.fromkeys(COLUMNS)
    row |= {
        "time": 1_764_000_000_000.0, "used": 6144, "idle": 2048, "free": 1_073_733_632,
        "rate": 2100.0, "pending": 3, "versions": 2, "service_p50": 127, "service_p99": 255,
    }  # fmt: skip
    return Look(
        lab=None,
        driver="host (CPU threads)",
        device="A processor",
        metrics=from_snapshot(snapshot),
        row=row,
        grains=grains,
    )
