"""The shared headers, as NVRTC reads them, and their digest."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import gpures_lab

__all__ = ["SHARED", "headers_digest"]

SHARED = Path(gpures_lab.__file__).parent / "_core" / "shared"


@functools.cache
def headers_digest() -> str:
    """Digest of every file that device code may include: a changed one compiles again."""
    summed = hashlib.sha256()
    for path in sorted([*SHARED.rglob("*.hpp"), *SHARED.rglob("*.cu")]):
        summed.update(path.relative_to(SHARED).as_posix().encode())
        summed.update(path.read_bytes())
    return summed.hexdigest()
