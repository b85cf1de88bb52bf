"""Every exception that gpures_lab raises, one cause each.

::

    GpuResError
    ├── InvalidOption (ValueError)       an argument or option is out of its range
    ├── UnknownKernel (LookupError)      no kernel of that name
    ├── CompileError                     a kernel body was refused, or its compiler failed
    ├── KernelFault                      a kernel crashed while it ran
    ├── StaleHandle (ReferenceError)     a handle was used after release, replacement or close
    ├── OutOfBounds (IndexError)         an element range leaves its allocation
    ├── DtypeMismatch (TypeError)        data does not cast to the dtype, or no such kernel
    ├── RingFull                         no free slot within ``full_wait_s``
    ├── RingClosed                       the manager was closed, or belongs to another process
    ├── RingStalled                      the ring made no progress for ``stall_s``
    ├── PoolExhausted (MemoryError)      the pool limit leaves no room
    ├── StateConflict                    another checkpoint or live memory stands in the way
    ├── CheckpointCorrupt                stored bytes do not match their digest
    ├── DeviceLost                       the device reported an error; its memory is gone
    ├── DriverUnavailable                the asked-for device cannot be used here
    └── Cancelled                        the message was dropped by ``grain.cancel()`` or by a stop

A wait that runs out of time raises the builtin ``TimeoutError``; the request stays live.
Each message says what happened, the numbers, and the cure. Fields stay on the exception
(``exc.used``, ``exc.slots``), so that callers need not parse text.
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "CheckpointCorrupt",
    "CompileError",
    "DeviceLost",
    "DriverUnavailable",
    "DtypeMismatch",
    "GpuResError",
    "InvalidOption",
    "KernelFault",
    "OutOfBounds",
    "PoolExhausted",
    "RingClosed",
    "RingFull",
    "RingStalled",
    "StaleHandle",
    "StateConflict",
    "UnknownKernel",
]


class GpuResError(Exception):
    """Base of everything gpures_lab raises; ``fields`` become attributes."""

    def __init__(self, message: str, /, **fields: object) -> None:
        super().__init__(message)
        self.fields = fields
        self.__dict__.update(fields)


class InvalidOption(GpuResError, ValueError):
    """An argument or option is out of its range; nothing was changed."""


class UnknownKernel(GpuResError, LookupError):
    """No kernel of that name; the message lists near names."""


class CompileError(GpuResError):
    """A kernel body was refused or its compiler failed; shows the user's line."""


class KernelFault(GpuResError):
    """A kernel crashed while it ran (SIGSEGV, SIGBUS, SIGFPE); its outputs are undefined."""


class StaleHandle(GpuResError, ReferenceError):
    """The handle's allocation was released, replaced, or belongs to another grain or manager."""


class OutOfBounds(GpuResError, IndexError):
    """An element range leaves its allocation."""


class DtypeMismatch(GpuResError, TypeError):
    """Data cannot be cast to the handle's dtype, or the kernel has no version for these dtypes."""


class RingFull(GpuResError):
    """No free slot within ``full_wait_s``; nothing was posted, retrying is safe."""


class RingClosed(GpuResError):
    """The manager was closed, or belongs to the process this one was forked from."""


class RingStalled(GpuResError):
    """The ring made no progress for ``stall_s``; only a kernel restart frees the worker."""


class PoolExhausted(GpuResError, MemoryError):
    """The pool's byte limit leaves no room; nothing was allocated."""


class StateConflict(GpuResError):
    """Another checkpoint, another writer or live memory stands in the way."""


class CheckpointCorrupt(GpuResError):
    """Stored bytes do not match their digest."""


class DeviceLost(GpuResError):
    """The device reported an error; its memory is gone."""


class DriverUnavailable(GpuResError):
    """The asked-for device cannot be used here; the message says what is missing."""


class Cancelled(GpuResError):
    """The message was dropped by ``grain.cancel()`` or cut short by a stop."""
