"""What a driver is."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

__all__ = ["DeviceType", "Driver", "DriverName"]

DriverName: TypeAlias = Literal["host", "cuda"]
DeviceType: TypeAlias = Literal["cpu", "gpu"]


class Driver(Protocol):
    """Where memory and ring kernels live.

    A driver describes one device; it holds no memory and starts nothing, so making one is cheap
    and needs no closing. Launching, parking, staging and ordering are the engine's, above it.
    Everything a driver says was looked up on this machine; what cannot be found out is said to be
    unknown, never guessed.
    """

    @property
    def name(self) -> DriverName:
        """``"host"`` or ``"cuda"``."""
        ...

    @property
    def kind(self) -> DeviceType:
        """What the code runs on. A host driver is a ``"cpu"``, whatever GPU the machine has."""
        ...

    @property
    def device_name(self) -> str:
        """The maker's name of the device."""
        ...

    @property
    def event_driven(self) -> bool:
        """Whether a ring kernel must not linger here."""
        ...

    @property
    def label(self) -> str:
        """What reports print: ``host (CPU threads)`` or ``cuda``."""
        ...

    @property
    def reason(self) -> str:
        """Why this driver and no other was chosen."""
        ...

    @property
    def memory_types(self) -> tuple[str, ...]:
        """What ``allocate(memory_type=…)`` takes here; the first is the default."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Memory of the device that this process may use."""
        ...

    @property
    def default_dma_above_bytes(self) -> int | None:
        """Transfers of more bytes go by DMA unless the user says otherwise; None: none does."""
        ...

    @property
    def default_wide_above_bytes(self) -> int | None:
        """Computes of more bytes are plain launches over the whole device; None: none is."""
        ...

    @property
    def default_pool_limit_bytes(self) -> int:
        """The pool's byte limit when the user gives none."""
        ...
