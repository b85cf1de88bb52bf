"""One row a grain, with rates over the last seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gpures_lab.grain import Grain

__all__ = ["ROW_FIELDS", "SORTS", "GrainRow", "GrainRows"]

ROW_FIELDS: Final = (
    "key",
    "state",
    "ring",
    "bytes",
    "allocations",
    "messages",
    "pending",
    "failed",
    "rate",
    "mean_ns",
    "service_p50_ns",
    "service_p99_ns",
)
SORTS: Final = frozenset(ROW_FIELDS)


@dataclass(frozen=True, slots=True)
class GrainRow:
    """What is known of a grain at one moment.

    Attributes
    ----------
    state
        ``deactivated`` with its memory put away; ``busy`` with messages pending; else ``active``
        with allocations, ``empty`` without.
    rate, mean_ns, service_p50_ns, service_p99_ns
        Messages a second, and what their service took, over the window; None where nothing ran in
        it. The percentiles are at most 25 % too high.
    """

    key: str
    state: str
    ring: int
    bytes: int
    allocations: int
    messages: int
    pending: int
    failed: int
    rate: float | None
    mean_ns: float | None
    service_p50_ns: int | None
    service_p99_ns: int | None

    def values(self) -> list[object]:
        """Return the fields in the order of `ROW_FIELDS`."""
        return [getattr(self, name) for name in ROW_FIELDS]


class GrainRows:
    """Counts grains. Belongs to one thread.

    Two bases are kept, at most half a window apart, so that memory does not grow with the window:
    rates cover between half of it and all of it.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._older: _Base | None = None
        self._newer: _Base | None = None
        self._counted: dict[str, _Counted] = {}

    def take(self, grains: Mapping[str, Grain], now_ns: int) -> tuple[GrainRow, ...]:
        """Return one row a grain; costs one count each, two of those that worked."""
        base = self._older
        span_s = 0.0 if base is None else (now_ns - base.at_ns) / 1e9
        counted: dict[str, _Counted] = {}
        rows: list[GrainRow] = []
        for key, grain in grains.items():
            counts, before = grain._counts(), self._counted.get(key)  # noqa: SLF001
            older = None if base is None else base.seen.get(key, _NOTHING)
            row = _row(key, counts, older, span_s, asleep=grain._is_asleep())  # noqa: SLF001
            service = before.service if before is not None else None
            worked = before is None or before.messages != counts["messages"]
            if row.mean_ns is not None or worked:
                since = None if row.mean_ns is None or older is None else older.service
                service, p50, p99 = grain._service(since)  # noqa: SLF001
                if row.mean_ns is not None:
                    row = replace(row, service_p50_ns=p50, service_p99_ns=p99)
            counted[key] = _Counted(counts["messages"], counts["service_ns"], service)
            rows.append(row)
        self._counted = counted
        half_ns = int(self.window_s * 5e8)
        if self._newer is None or now_ns - self._newer.at_ns >= half_ns:
            made = _Base(now_ns, counted)
            self._older = self._newer or made
            self._newer = made
        return tuple(rows)


@dataclass(frozen=True, slots=True)
class _Counted:
    messages: int
    service_ns: int
    service: bytes | None


_NOTHING: Final = _Counted(0, 0, None)


@dataclass(frozen=True, slots=True)
class _Base:
    at_ns: int
    seen: Mapping[str, _Counted]


def _row(
    key: str, counts: Mapping[str, int], older: _Counted | None, span_s: float, *, asleep: bool
) -> GrainRow:
    messages, service_ns = counts["messages"], counts["service_ns"]
    rate = mean_ns = None
    if older is not None and span_s > 0:
        done = messages - older.messages
        if done >= 0:  # fewer: discarded and made again under the same key
            rate = done / span_s
            mean_ns = (service_ns - older.service_ns) / done if done else None
    if asleep:
        state = "deactivated"
    else:
        state = "busy" if counts["pending"] else "active" if counts["allocations"] else "empty"
    return GrainRow(
        key=key,
        state=state,
        ring=counts["ring"],
        bytes=counts["bytes"],
        allocations=counts["allocations"],
        messages=messages,
        pending=counts["pending"],
        failed=counts["failed"],
        rate=rate,
        mean_ns=mean_ns,
        service_p50_ns=None,
        service_p99_ns=None,
    )
