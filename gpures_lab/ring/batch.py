"""Batches: many messages as the rows of one structured array."""

from __future__ import annotations

import numpy as np

from gpures_lab.errors import GpuResError, InvalidOption
from gpures_lab.ring.wire import Opcode

__all__ = ["MESSAGE", "OPERATIONS", "bad_row", "in_row"]

# `Row` in _core/python/submit.cpp.
MESSAGE = np.dtype(
    [
        ("op", np.uint32),
        ("kernel", np.uint32),
        ("handles", np.uint64, (8,)),
        ("offset", np.uint64),
        ("count", np.uint64),
        ("params", np.float64, (8,)),
        ("data", np.uint64),
        ("outputs", np.uint32),
        ("reserved", np.uint32),
    ],
    align=True,
)

OPERATIONS = {
    "noop": Opcode.NOOP,
    "barrier": Opcode.BARRIER,
    "compute": Opcode.COMPUTE,
    "write": Opcode.WRITE,
}


def bad_row(row: int, what: str) -> InvalidOption:
    """Return the error of a row that cannot become a message."""
    return InvalidOption(f"row {row} of the batch {what}; nothing was posted", row=row)


def in_row(error: BaseException, row: int) -> BaseException:
    """Return the error of a compute, saying which row asked for it."""
    if not isinstance(error, GpuResError) or "row" in error.fields:
        return error
    text = f"row {row} of the batch: {error}"
    return type(error)(f"{text}; nothing was posted", **{**error.fields, "row": row})
