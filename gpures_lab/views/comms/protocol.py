"""The two comms' wire format: names, versions, limits, and how a frame becomes bytes.

The front end opens both. On *telemetry* only the sampler's thread sends after the first frame.
On *control* only its own handler sends: ipykernel 7.4 hands a front end's message to the subshell
that last sent on that comm, so one send from elsewhere would put the handler behind the running
cell.
"""

from __future__ import annotations

import json
import math
from typing import Final, TypeAlias

__all__ = [
    "BEACON",
    "BUSIEST",
    "CHUNK_BYTES",
    "CONTROL",
    "PROTOCOL",
    "RATES_HZ",
    "TELEMETRY",
    "TICK_BYTES",
    "Frame",
    "clipped",
    "encoded",
    "plain",
]

Frame: TypeAlias = dict[str, object]

PROTOCOL: Final = (1, 0)
"""Another major number cannot be understood; a higher minor one has fields to be ignored."""

TELEMETRY: Final = "gpures_lab.telemetry"
CONTROL: Final = "gpures_lab.control"
BEACON: Final = "gpures_lab.beacon"
"""Listed by comm_info while the targets exist, so that a front end can ask without opening."""

RATES_HZ: Final = (1.0, 10.0)
"""At least one frame a second, or silence could not be told from death within three."""

TICK_BYTES: Final = 4_096
CHUNK_BYTES: Final = 61_440  # with its envelope below 64 KiB
BUSIEST: Final = 16


def encoded(frame: object) -> bytes:
    """Return JSON as the kernel's session writes it: UTF-8, and no NaN, which is no JSON."""
    return json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def plain(value: float | None) -> float | None:
    """Return a number that JSON can hold; None where nothing was measured."""
    return None if value is None or not math.isfinite(value) else value


def clipped(text: str, most_bytes: int) -> str:
    """Return as much of ``text`` as JSON can say in ``most_bytes``, with a mark where it ends."""
    if len(encoded(text)) <= most_bytes:
        return text
    kept = text[:most_bytes]
    while kept and len(encoded(f"{kept}…")) > most_bytes:
        kept = kept[: len(kept) * 7 // 8]
    return f"{kept}…"
