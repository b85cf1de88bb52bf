"""What each entry point takes of the GPU: read from the linker's own report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Resources", "read_resources"]

_NAME = re.compile(r"Function properties for (?P<name>\S+)")
_FRAME = re.compile(
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads"
)
_REGISTERS = re.compile(r"Used (?P<registers>\d+) registers")
_CUMULATIVE = re.compile(r"(?P<stack>\d+) bytes cumulative stack size")
_SHARED = re.compile(r"(?P<bytes>\d+) bytes smem")


@dataclass(frozen=True, slots=True)
class Resources:
    """One function of a cubin.

    Attributes
    ----------
    registers
        Of a thread; None for a function that is called, not launched.
    stack_bytes
        Of a thread, with all that it calls.
    spill_bytes
        Stored to the stack and loaded from it because registers ran out.
    shared_bytes
        Declared by the function itself.
    """

    registers: int | None
    stack_bytes: int
    spill_bytes: int
    shared_bytes: int


def read_resources(log: str) -> Mapping[str, Resources]:
    """Every function that the report names."""
    found: dict[str, Resources] = {}
    for block in re.split(r"(?=Function properties for )", log)[1:]:
        name, frame = _NAME.search(block), _FRAME.search(block)
        if name is None or frame is None:
            continue
        registers, shared = _REGISTERS.search(block), _SHARED.search(block)
        whole = _CUMULATIVE.search(block)
        found[name["name"]] = Resources(
            registers=int(registers["registers"]) if registers else None,
            stack_bytes=int((whole or frame)["stack"]),
            spill_bytes=int(frame["stores"]) + int(frame["loads"]),
            shared_bytes=int(shared["bytes"]) if shared else 0,
        )
    return found
