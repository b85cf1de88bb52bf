"""After an engine has failed: a new one, and what can be brought back to it.

A stalled ring has answered everything that was pending; its stuck worker keeps its thread and the
old memory for good. Deactivated grains lie on disk, so they come along; others come back from their
last checkpoint. What was neither is lost, and is said to be: its key's new grain begins empty, for
zeros under the old names would pass for data. On a CUDA device the way back is a new process: one
that was lost takes the process's context with it, and behind a kernel that never ends every
allocation would wait for ever.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpures_lab.errors import DeviceLost, GpuResError
from gpures_lab.grain.grain import Grain
from gpures_lab.grain.kept import programs_of
from gpures_lab.grain.named import allocate_named
from gpures_lab.grain.tracing import recorder_of
from gpures_lab.grain.unseen import report_unseen
from gpures_lab.metrics.units import bytes_text, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.residency import Asleep

__all__ = ["Lost", "relaunch"]

logger = logging.getLogger("gpures_lab")


@dataclass(frozen=True, slots=True)
class Lost:
    """What a grain held that went with an engine and was never checkpointed."""

    allocations: int
    nbytes: int

    @classmethod
    def of(cls, grain: Grain) -> Lost:
        """Count what it holds."""
        counts = grain._counts()
        return cls(counts["allocations"], counts["bytes"])

    def __str__(self) -> str:
        return f"{plural(self.allocations, 'allocation')}, {bytes_text(self.nbytes)}"


def relaunch(owner: GrainManager, key: str) -> None:
    """Give the manager a new engine, and every grain that was deactivated its memory there.

    Raises
    ------
    DeviceLost
        The device is no use to this process any more; says how ``key`` comes back.
    """
    cause = _cause(owner)
    if owner.driver.name != "host":
        why = (
            "was lost, and with it this process's context"
            if isinstance(cause, DeviceLost)
            else "runs a kernel that does not end, and every allocation would wait for it"
        )
        raise DeviceLost(
            f"{owner.driver.label} {why}: restart the Jupyter kernel (or process), then "
            f"gpures_lab.manager().restore({key!r})",
            grain=key,
        ) from cause
    report_unseen(owner)
    residency = owner._residency
    with residency.lock:
        asleep = residency.take_all()
        lost = {
            grain.key: Lost.of(grain)
            for grain in owner._grains.values()
            if grain._etag is None and not grain._is_asleep() and grain._live()
        }
        owner._lost |= lost
        ended = owner._engine.close(0)
        owner._stores.clear()
        owner._grains.clear()  # the old ones go on saying what happened
        owner._engine = owner._new_engine()
        owner._recorder.close()
        owner._recorder = recorder_of(owner)
        left = _bring_along(owner, asleep)
    logger.warning(
        "the engine failed (%s) and was replaced; %s came along%s%s%s",
        type(cause).__name__,
        plural(len(asleep) - len(left), "deactivated grain"),
        f"; did not: {_some(left)}" if left else "",
        f"; lost, for never checkpointed: {_some(lost)}" if lost else "",
        "" if ended else "; its stuck worker keeps a thread until the process ends",
    )


def _bring_along(owner: GrainManager, asleep: list[tuple[Grain, Asleep]]) -> dict[str, GpuResError]:
    """Let every grain sleep on in the new engine; what keeps one from it is its own affair."""
    left: dict[str, GpuResError] = {}
    interrupt: KeyboardInterrupt | None = None
    waiting = deque(asleep)
    while waiting:
        old, where = waiting[0]
        try:
            _move(owner, old, where)
        except KeyboardInterrupt as error:  # none may stay behind: first they all come along
            interrupt = error
            continue
        except GpuResError as error:
            left[old.key] = error
            owner._lost[old.key] = Lost.of(old)
        waiting.popleft()
    if interrupt is not None:
        raise interrupt
    return left


def _move(owner: GrainManager, old: Grain, where: Asleep) -> None:
    # Its contents stay where they are: a file that cannot be read is found out by who wakes it.
    grain = Grain._activate(
        owner,
        old.key,
        dtype=old.dtype,
        dedicated=old.placement == "dedicated",
        durable=old._durable,
    )
    handles = {
        int(handle): int(
            allocate_named(
                grain, handle.shape, handle.dtype, handle.name, False, handle.memory_type
            )
        )
        for handle in old._live()
    }
    owner._residency.take_over(grain, where)
    where.rename(handles)
    owner._grains[old.key] = grain
    grain._state = old._state
    grain._program_texts = programs_of(old)
    grain._etag, grain._manifest = old._etag, old._manifest
    old._forget()


def _some(lost: Mapping[str, object], most: int = 5) -> str:
    names = [f"{key!r} ({what})" for key, what in lost.items()]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))


def _cause(owner: GrainManager) -> GpuResError | None:
    for grain in owner.grains.values():
        if not grain._is_asleep():
            try:
                grain.ping()
            except GpuResError as error:
                return error
    return None
