"""What compiling a kernel for the host leaves behind: bytes that a later process can load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Artifact"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled kernel as it lies in the disk cache.

    Attributes
    ----------
    suffix
        ``".o"`` (object code, linked by LLVM) or ``".so"`` (a shared library).
    payload
        The file's bytes.
    meta
        What a ``HostCode`` needs besides the address; plain JSON values.
    """

    suffix: str
    payload: bytes
    meta: dict[str, Any]
