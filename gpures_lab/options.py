"""Options as frozen values, checked once when they are made.

Every class here is keyword-only and immutable: an option object that exists is valid, so nothing
later needs to check it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gpures_lab.errors import InvalidOption

__all__ = ["ManagerOptions", "RingOptions"]

_DEVICE: Final = re.compile(r"auto|host|cuda(:\d{1,4})?")

SMALLEST_POOL_BYTES: Final = 4096
"""One message page: below it not even the payload of a single message could be held."""

MOST_SECONDS: Final = 10**9
"""Thirty years: nanoseconds of it still fit the clocks' 64 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RingOptions:
    """Size and pace of the rings.

    Attributes
    ----------
    slots
        Messages a ring holds at once; a power of two, 4 to 65536.
    linger_us
        How long an idle ring kernel waits for a message before it parks; 0 to 1,000,000.
        0 is event-driven: every burst of messages is a launch.
    lease_ms
        The longest a launch lasts, however busy; 1 to 1000.
    max_rings
        Rings for which memory is set aside at start: the shared one and the dedicated ones;
        1 to 64.
    spin_us
        How long a host thread spins before it sleeps, at least; 0 to 10,000. While sleeps end
        within a quarter of a millisecond it spins longer; 0 never spins.
    dma_above_bytes
        Transfers of more bytes are copied by DMA, with the grain's later messages held back;
        ``None`` leaves it to the driver (the host never does).
    wide_above_bytes
        Computes, fills and zeroing that touch more bytes are a plain launch over the whole
        device, likewise; ``None`` leaves it to the driver (the host never does).
    """

    slots: int = 1024
    linger_us: int = 500
    lease_ms: int = 20
    max_rings: int = 16
    spin_us: int = 20
    dma_above_bytes: int | None = None
    wide_above_bytes: int | None = None

    def __post_init__(self) -> None:
        _check_integer("RingOptions.slots", self.slots, 4, 65536)
        if self.slots & (self.slots - 1):
            lower = 1 << (self.slots.bit_length() - 1)
            raise InvalidOption(
                f"RingOptions.slots={self.slots} is not a power of two; "
                f"the nearest are {lower} and {2 * lower}",
                name="RingOptions.slots",
                value=self.slots,
            )
        _check_integer("RingOptions.linger_us", self.linger_us, 0, 1_000_000)
        _check_integer("RingOptions.lease_ms", self.lease_ms, 1, 1000)
        _check_integer("RingOptions.max_rings", self.max_rings, 1, 64)
        _check_integer("RingOptions.spin_us", self.spin_us, 0, 10_000)
        for name in ("dma_above_bytes", "wide_above_bytes"):
            if getattr(self, name) is not None:
                _check_integer(f"RingOptions.{name}", getattr(self, name), 0, 2**63 - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagerOptions:
    """What `gpures_lab.GrainManager` takes; the fields are its keyword arguments.

    Attributes
    ----------
    device
        ``"auto"`` (the host, until CUDA is measured), ``"host"``, ``"cuda"`` or ``"cuda:N"``.
    pool_limit_bytes
        The most bytes the pool may hold, at least `SMALLEST_POOL_BYTES`;
        ``None`` leaves it to the driver.
    full_wait_s
        How long a call waits for a free slot before it raises `RingFull`; 0 does not wait.
    stall_s
        How long a ring may make no progress before it counts as stalled; above 0. A plain launch
        of the wide path shows none, so this is the longest that one may run.
    idle_after_s
        Grains without messages for this long are deactivated; ``None`` never does it.
    state_url
        SQLAlchemy URL of the state store; ``None`` is a SQLite file in the state folder.
    blobs_url
        fsspec URL of the blob store; ``None`` is a folder in the state folder.
    ring
        Size and pace of the rings.
    """

    device: str = "auto"
    pool_limit_bytes: int | None = None
    full_wait_s: float = 5.0
    stall_s: float = 5.0
    idle_after_s: float | None = None
    state_url: str | None = None
    blobs_url: str | None = None
    ring: RingOptions = field(default_factory=RingOptions)

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise InvalidOption(
                f"device={self.device!r} names no device; "
                "use 'auto', 'host', 'cuda' or 'cuda:N' (N a device number)",
                name="device",
                value=self.device,
            )
        if self.pool_limit_bytes is not None:
            _check_integer(
                "pool_limit_bytes", self.pool_limit_bytes, SMALLEST_POOL_BYTES, 2**63 - 1
            )
        _check_seconds("full_wait_s", self.full_wait_s, zero=True)
        _check_seconds("stall_s", self.stall_s, zero=False)
        if self.idle_after_s is not None:
            _check_seconds("idle_after_s", self.idle_after_s, zero=False)
        _check_url("state_url", self.state_url)
        _check_url("blobs_url", self.blobs_url)
        if not isinstance(self.ring, RingOptions):
            raise InvalidOption(
                f"ring={self.ring!r} is a {type(self.ring).__name__}; "
                "pass gpures_lab.RingOptions(slots=…, …)",
                name="ring",
                value=self.ring,
            )


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    # bool is an int to Python; slots=True is a mistake, not a ring of one slot.
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidOption(
            f"{name}={value!r} is a {type(value).__name__}; give an int from {low:,} to {high:,}",
            name=name,
            value=value,
            low=low,
            high=high,
        )
    if not low <= value <= high:
        raise InvalidOption(
            f"{name}={value:,} is out of range; it goes from {low:,} to {high:,}",
            name=name,
            value=value,
            low=low,
            high=high,
        )


def _check_seconds(name: str, value: object, *, zero: bool) -> None:
    allowed = "0 or more" if zero else "more than 0"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOption(
            f"{name}={value!r} is a {type(value).__name__}; give seconds, {allowed}",
            name=name,
            value=value,
        )
    if not 0 <= value <= MOST_SECONDS or (value == 0 and not zero):
        raise InvalidOption(
            f"{name}={value!r} is out of range; give seconds, {allowed}, at most {MOST_SECONDS:,}",
            name=name,
            value=value,
        )


def _check_url(name: str, value: object) -> None:
    if value is None or (isinstance(value, str) and value.strip()):
        return
    raise InvalidOption(
        f"{name}={value!r} is no URL; give a non-empty string, or None for the default place",
        name=name,
        value=value,
    )
