"""How handles, completions and grains print. Never raises, never waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.ring.wire import Status, word_of

if TYPE_CHECKING:
    from gpures_lab._core._native import Completion, ResidentArray

__all__ = ["array_repr", "completion_repr"]


def array_repr(handle: ResidentArray) -> str:
    """``<ResidentArray x float32 (1024,) 4.0 KiB, grain 'scores'>``."""
    from gpures_lab.metrics.units import bytes_text

    if handle.released:
        return f"<ResidentArray {handle.name} released>"
    return (
        f"<ResidentArray {handle.name} {handle.dtype} {handle.shape} "
        f"{bytes_text(handle.nbytes)}, grain {handle.grain.key!r}>"
    )


def completion_repr(completion: Completion[Any]) -> str:
    """``<Completion Read on 'scores': pending>``."""
    state = completion._state
    outcome = "pending"
    if state["answered"]:
        status = Status(state["status"])
        outcome = "done" if status is Status.OK else status.name.lower().replace("_", " ")
    return f"<Completion {word_of(state['opcode'])} on {completion.grain.key!r}: {outcome}>"
