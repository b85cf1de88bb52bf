"""Names of the numbers that cross the ring (``_core/shared/layout.hpp``)."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["HostWork", "Opcode", "Status", "word_of"]


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


class HostWork(IntEnum):
    """What the host does for a grain and promises to answer; never in a slot."""

    CHECKPOINT = 256
    DEACTIVATE = 257


def word_of(opcode: int) -> str:
    """As messages to people say it: ``Compute``."""
    known = Opcode(opcode) if opcode < HostWork.CHECKPOINT else HostWork(opcode)
    return known.name.title().replace("_", "")


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
    HOST_FAILED = 35
    NOT_LAUNCHED = 36
