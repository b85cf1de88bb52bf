"""Names of the numbers that cross the ring (``_core/shared/layout.hpp``)."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Opcode", "Status"]


class Opcode(IntEnum):
    """What a message asks for."""

    NOOP = 1
    BARRIER = 2
    ALLOCATE = 3
    RELEASE = 4
    WRITE = 5
    READ = 6
    COMPUTE = 7
    RUN_PROGRAM = 8

    @property
    def word(self) -> str:
        """As messages to people say it: ``Compute``."""
        return self.name.title().replace("_", "")


class Status(IntEnum):
    """How a message ended; above 31 the host answered, not the worker."""

    OK = 0
    BAD_MESSAGE = 1
    STALE_HANDLE = 2
    FOREIGN_HANDLE = 3
    OUT_OF_BOUNDS = 4
    UNKNOWN_KERNEL = 5
    BLOCK_TAKEN = 6
    HANDLE_TAKEN = 7
    KERNEL_FAULT = 8
    CANCELLED = 9
    UNFINISHED = 10
    RING_STALLED = 32
    RING_CLOSED = 33
    DEVICE_LOST = 34
