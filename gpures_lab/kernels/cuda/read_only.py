"""Loads through the read-only cache, which a kernel that never ends must not have."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpures_lab.kernels.cuda.toolchain import BASE_ARCH, link_ptx

__all__ = ["read_only_loads"]

_READ_ONLY = re.compile(
    r"^\s*(?:@!?%p\d+\s+)?((?:ld\.global\S*\.nc|tex\.|tld4\.|ldu\.)\S*)", re.MULTILINE
)


def read_only_loads(parts: Sequence[tuple[str, bytes]], arch: str = "") -> list[str]:
    """Such instructions in what ``parts`` link to; the linker's PTX shows them without a tool."""
    # Kernels alone link for the oldest architecture that the linker still takes.
    ptx = link_ptx(parts, arch or f"sm_{BASE_ARCH}")
    return [found[1] for found in _READ_ONLY.finditer(ptx)]
