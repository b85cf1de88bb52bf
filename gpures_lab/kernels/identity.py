"""The digest that names a kernel across processes and redefinitions."""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = ["digest", "kernel_identity"]


def digest(*parts: str) -> str:
    """SHA-256 of the parts; no two different lists of parts give the same text."""
    summed = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        summed.update(len(data).to_bytes(8, "little"))
        summed.update(data)
    return summed.hexdigest()


def kernel_identity(
    kind: str, language: str, indices: int, checked: bool, init: Any, body: str
) -> str:
    """Digest of everything that defines a kernel; ``body`` is the front end's own digest."""
    start = f"{type(init).__name__} {init!r}"
    return digest(kind, language, str(indices), str(checked), start, body)
