"""Loads through the read-only cache, which a kernel that never ends must not have."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpures_lab.kernels.cuda.toolchain import BASE_ARCH, link_ptx

__all__ = ["in_ptx", "read_only_loads"]

_READ_ONLY = re.compile(r"^(?:ld\.global\S*\.nc|tex\.|tld4\.|ldu\.)")
_INSTRUCTION = re.compile(r"^\s*(?:@!?%p\d+\s+)?(?P<name>[a-z][\w.:]*)\s+(?P<operands>[^;]*);")
_REGISTER = re.compile(r"%\w+")
_SYMBOL = re.compile(r"(?<![%\w])[A-Za-z_]\w*")


def read_only_loads(parts: Sequence[tuple[str, bytes]], arch: str = "") -> list[str]:
    """Such instructions in what ``parts`` link to; the linker's PTX shows them without a tool."""
    # Kernels alone link for the oldest architecture that the linker still takes.
    return in_ptx(link_ptx(parts, arch or f"sm_{BASE_ARCH}"))


def in_ptx(ptx: str) -> list[str]:
    """The same in a text.

    Tables that are part of the code are no data: the double-precision sine reads its coefficients
    so. Their addresses come from a symbol, those of data from a parameter or from memory.
    """
    found: list[str] = []
    of_symbols: set[str] = set()
    for line in ptx.splitlines():
        if line.startswith((".visible", ".entry", ".func", ".weak")):
            of_symbols.clear()  # registers are a function's own
        match = _INSTRUCTION.match(line)
        if match is None:
            continue
        name, operands = match["name"], match["operands"]
        if _READ_ONLY.match(name):
            address = operands.partition("[")[2]
            if not (_SYMBOL.search(address) or of_symbols & set(_REGISTER.findall(address))):
                found.append(name)
        elif name.startswith(("mov.", "add.", "cvta.", "mad.", "sub.")):
            target, _, sources = operands.partition(",")
            if _SYMBOL.search(sources) or of_symbols & set(_REGISTER.findall(sources)):
                of_symbols.add(target.strip())
    return found
