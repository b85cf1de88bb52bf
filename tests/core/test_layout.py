"""The numbers that cross the ring, written once in C++ and read by name in Python."""

from __future__ import annotations

import re
from pathlib import Path

from gpures_lab.ring.wire import Opcode, Status

LAYOUT = Path(__file__).parents[2] / "gpures_lab" / "_core" / "shared" / "layout.hpp"


def enum_values(name: str) -> dict[str, int]:
    """Values of a C++ enum of the layout, names as Python writes them."""
    text = LAYOUT.read_text(encoding="utf-8")
    body = re.search(rf"enum class {name} : u16 {{(.*?)}};", text, re.DOTALL)
    assert body is not None
    found = re.findall(r"k(\w+) = (\d+)", body[1])
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper(): int(n) for word, n in found}


def test_opcodes_are_the_same_on_both_sides() -> None:
    """Would catch: an operation that Python calls by another's number."""
    assert {each.name: each.value for each in Opcode} == enum_values("Opcode")


def test_statuses_are_the_same_on_both_sides() -> None:
    """Would catch: an error reported as another one."""
    assert {each.name: each.value for each in Status} == enum_values("Status")
