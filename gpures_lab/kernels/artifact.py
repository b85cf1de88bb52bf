"""What compiling a kernel leaves behind: bytes that a later process can load."""

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
        ``".o"`` (object code, linked by LLVM), ``".so"`` (a shared library), ``".ltoir"`` (for
        nvJitLink) or ``".cubin"`` (a linked image).
    payload
        The file's bytes.
    meta
        What else must be known of it; plain JSON values.
    """

    suffix: str
    payload: bytes
    meta: dict[str, Any]
