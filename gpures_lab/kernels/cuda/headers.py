"""The shared headers, as NVRTC reads them, and their digest."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from gpures_lab import _core

__all__ = ["SHARED", "headers_digest"]

SHARED = Path(_core.__file__).parent / "shared"


@functools.cache
def headers_digest() -> str:
    """Digest of every file that device code may include: a changed one compiles again."""
    summed = hashlib.sha256()
    for path in sorted([*SHARED.rglob("*.hpp"), *SHARED.rglob("*.cu")]):
        summed.update(path.relative_to(SHARED).as_posix().encode())
        summed.update(path.read_bytes())
    return summed.hexdigest()
