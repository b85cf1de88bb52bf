"""Failed messages that nobody looked at: said by the next checkpoint, or at the end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from gpures_lab.ring.wire import Status, word_of

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager

__all__ = ["report_unseen"]


def report_unseen(owner: GrainManager) -> None:
    """Warn of those that have come since the last time."""
    unseen = owner._engine.take_unseen()
    if not unseen:
        return
    counted = owner._engine.snapshot()["failures_unobserved"]
    total, owner._unseen = counted - owner._unseen, counted
    some = ", ".join(
        f"request {request} ({word_of(opcode)}: {Status(status).name})"
        for request, opcode, status, _ in unseen[:3]
    )
    warnings.warn(
        f"{total} messages failed and nobody looked at their completions: {some}"
        f"{', …' if total > 3 else ''}; call .result() on them",
        RuntimeWarning,
        stacklevel=3,
    )
