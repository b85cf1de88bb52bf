"""A recorded program as the bytes that the worker replays; `_core/shared/layout.hpp` has the form.

``header | steps | late records | text | room for what the worker binds``
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["LateWord", "RecordedStep", "program_bytes"]

_HEADER = struct.Struct("<8Q")
_SLOT_BYTES = 64
_BOUND_STEP_BYTES = 32


class RecordedStep(NamedTuple):
    """One message as the native recorder gives it."""

    slot: bytes
    page: bytes
    handles: tuple[object, ...]
    bound_words: int
    params: tuple[tuple[str, int, int, object], ...]
    kernel: str | None
    inputs: int = 0  # of the handles of a Compute, the first ones


class LateWord(NamedTuple):
    """Where a word of the run's page goes: a parameter word of a step."""

    step: int
    word: int
    source: int


def program_bytes(steps: list[RecordedStep], late: list[LateWord]) -> tuple[bytes, int]:
    """Return the written part of a program, and the bytes that its allocation must have.

    Parameters
    ----------
    late
        In the order of the steps: the worker walks them side by side.
    """
    text = bytearray()
    slots = bytearray()
    for step in steps:
        padded = step.page + bytes(-len(step.page) % 8)
        # sequence and request: where the step's page begins in the text, and its words.
        slots += struct.pack("<2Q", len(text) // 8, len(padded) // 8) + step.slot[16:]
        text += padded
    bound_words = sum(step.bound_words for step in steps)
    header = _HEADER.pack(len(steps), len(late), len(text) // 8, bound_words, 0, 0, 0, 0)
    records = b"".join(struct.pack("<I2H", each.step, each.word, each.source) for each in late)
    written = header + bytes(slots) + records + bytes(text)
    assert len(slots) == len(steps) * _SLOT_BYTES
    return written, len(written) + len(steps) * _BOUND_STEP_BYTES + bound_words * 8
