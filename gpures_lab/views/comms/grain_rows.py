"""One row a grain, with rates over the last seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    rate, mean_ns
        Messages a second, and mean service time, over the window; None where nothing ran in it.
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

    def take(self, grains: Mapping[str, Grain], now_ns: int) -> tuple[GrainRow, ...]:
        """Return one row a grain; costs one count each."""
        counted = {key: grain._counts() for key, grain in grains.items()}  # noqa: SLF001
        asleep = {key for key, grain in grains.items() if grain._is_asleep()}  # noqa: SLF001
        base = self._older
        span_s = 0.0 if base is None else (now_ns - base.at_ns) / 1e9
        rows = tuple(
            _row(key, counts, base, span_s, asleep=key in asleep) for key, counts in counted.items()
        )
        half_ns = int(self.window_s * 5e8)
        if self._newer is None or now_ns - self._newer.at_ns >= half_ns:
            seen = {key: (c["messages"], c["service_ns"]) for key, c in counted.items()}
            self._older = self._newer or _Base(now_ns, seen)
            self._newer = _Base(now_ns, seen)
        return rows


@dataclass(frozen=True, slots=True)
class _Base:
    at_ns: int
    seen: Mapping[str, tuple[int, int]]


def _row(
    key: str, counts: Mapping[str, int], base: _Base | None, span_s: float, *, asleep: bool
) -> GrainRow:
    messages, service_ns = counts["messages"], counts["service_ns"]
    rate = mean_ns = None
    if base is not None and span_s > 0:
        before, service_before = base.seen.get(key, (0, 0))
        if messages >= before:  # fewer: discarded and made again under the same key
            rate = (messages - before) / span_s
            if messages > before:
                mean_ns = (service_ns - service_before) / (messages - before)
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
    )
