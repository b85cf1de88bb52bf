"""Typed access to the mapping that the engine hands over for one snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Snapshot", "counts", "integer", "text", "time"]

Snapshot: TypeAlias = "Mapping[str, object]"

STAGES: Final = ("queue", "service", "round_trip")
"""Where a message spends its time; each has ``<stage>_sum_ns`` and ``<stage>_counts``."""


def integer(snapshot: Snapshot, key: str) -> int:
    """Return a counter or gauge."""
    value = snapshot[key]
    if not isinstance(value, int | np.integer):
        raise _wrong(key, value, "an integer")
    return int(value)


def text(snapshot: Snapshot, key: str) -> str:
    """Return a name."""
    value = snapshot[key]
    if not isinstance(value, str):
        raise _wrong(key, value, "a string")
    return value


def time(snapshot: Snapshot, key: str) -> datetime:
    """Return a point in time with its zone."""
    value = snapshot[key]
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _wrong(key, value, "a datetime with a time zone")
    return value


def counts(snapshot: Snapshot, stage: str) -> NDArray[np.uint64]:
    """Return the histogram of ``stage``."""
    return np.asarray(snapshot[f"{stage}_counts"], dtype=np.uint64)


def _wrong(key: str, value: object, wanted: str) -> TypeError:
    return TypeError(f"snapshot[{key!r}] is {value!r}, not {wanted}")
