"""The end of a manager: what close and exit save, what they say ends there, what they let go."""

from __future__ import annotations

import _thread
import atexit
import logging
import time
import warnings
import weakref
from typing import TYPE_CHECKING

from gpures_lab.errors import GpuResError
from gpures_lab.grain.checkpoint import keep
from gpures_lab.grain.kept import with_durable
from gpures_lab.grain.unseen import report_unseen

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager

__all__ = ["close", "close_dropped", "keep_durable", "living"]

logger = logging.getLogger("gpures_lab")

EXIT_DRAIN_NS = 100_000_000
EXIT_SAVE_NS = 3_000_000_000
"""How long an exit waits for a kernel where a durable grain is to be saved."""
_dropped: set[GrainManager] = set()  # being closed by a thread of their own
living: weakref.WeakSet[GrainManager] = weakref.WeakSet()
"""Every manager of the process that somebody holds."""


def keep_durable(owner: GrainManager, *, drained: bool = True) -> None:
    """Save the durable grains that have changed; messages are refused already.

    Unless all have ended (``drained``), a grain is saved only if nothing can change it any more.
    """
    ending = []
    for grain in owner.grains.values():
        if not (grain._live() or grain.durable) or owner._residency.is_kept(grain):
            continue
        if not grain.durable:
            ending.append(grain.key)
        elif grain._changed():
            # A program may write to other grains than the one that waits for it.
            if not drained and (owner._stores or grain._counts()["pending"]):
                logger.warning(
                    "durable grain %r was not saved: a kernel was still running at exit", grain.key
                )
                continue
            try:
                keep(grain, owner._residency.contents_at_the_end(grain))
            except GpuResError as error:
                warnings.warn(
                    f"durable grain {grain.key!r} was not saved: {error}",
                    RuntimeWarning,
                    stacklevel=5,
                )
    if ending:
        # The end of a with block is no surprise, unless something in it was to be kept.
        logger.log(
            logging.INFO if owner._scoped and not owner._saver.used else logging.WARNING,
            "%s here with what %s: %s; checkpoint(), or durable=True, keeps one",
            "1 grain ends" if len(ending) == 1 else f"{len(ending):,} grains end",
            "it holds" if len(ending) == 1 else "they hold",
            ", ".join(map(repr, ending[:5])) + (", …" if len(ending) > 5 else ""),
        )


def close(owner: GrainManager) -> None:
    """Serve `GrainManager.close`."""
    if owner._closed:
        return
    owner._closed = True
    if owner._engine.forked:
        return
    owner._engine.refuse()
    try:
        _drain(owner)
        keep_durable(owner)
    finally:
        ended = _finish(owner)
    if not ended:
        logger.warning(
            "a kernel never ended: its worker thread and memory stay until the process ends"
        )


def _drain(owner: GrainManager) -> None:
    try:
        while not owner._engine.wait_drained(50_000_000):
            pass
        owner._saver.drain()
    except KeyboardInterrupt:
        if owner.driver.name == "host":
            keep_durable(owner, drained=False)
        raise KeyboardInterrupt(
            "the manager is closed all the same; messages that had not ended are answered with "
            "RingClosed"
        ) from None


def close_dropped(owner: GrainManager) -> None:
    """Close a manager that nobody holds any more. Returns at once, for the collector calls it.

    Whatever code the collector interrupted may hold any lock, so another thread does the work.
    """
    warnings.warn(
        f"a GrainManager on {owner.driver.label} was dropped without close(): "
        f"{len(owner._grains):,} grain(s) end with it; use a with block, or gl.manager()",
        ResourceWarning,
        stacklevel=2,
    )
    _dropped.add(owner)
    _thread.start_new_thread(_finish, (owner,))


def _finish(owner: GrainManager) -> bool:
    owner._closed = True
    with_durable.discard(owner)
    try:
        return _let_go(owner)
    finally:
        _dropped.discard(owner)


def _let_go(owner: GrainManager) -> bool:
    if owner._sampler is not None:
        owner._sampler.close()
    if owner._idle is not None:
        owner._idle.close()
    owner._recorder.close()
    for server in owner._ends_with_us:
        server.close()
    ended = owner._engine.close(0)
    if owner._device is not None:
        # At exit no CUDA call is made: the process's end gives the memory back.
        owner._device.close(ended=ended and not owner._exiting)
    owner._engine.drain_objects()
    report_unseen(owner)
    for grain in owner._grains.values():
        grain._named.clear()
        grain._disown()
    for store in owner._stores.values():
        store._disown()
    owner._stores.clear()
    owner._grains.clear()
    owner._saver.close()
    owner._residency.close()
    return ended


def _exit(owner: GrainManager) -> None:
    owner._closed = True
    owner._exiting = True
    owner._engine.refuse()
    try:
        drained = owner._engine.wait_drained(EXIT_DRAIN_NS)
        if not drained and any(each.durable and each._changed() for each in owner.grains.values()):
            drained = owner._engine.wait_drained(EXIT_SAVE_NS)
        if drained:
            owner._saver.drain()
        if drained or owner.driver.name == "host":  # past the ring, which a device cannot
            keep_durable(owner, drained=drained)
        elif any(grain.durable for grain in owner._grains.values()):
            logger.warning("durable grains were not saved: a kernel was still running at exit")
    finally:
        _finish(owner)


@atexit.register
def _close_all() -> None:
    for each in list(living):
        if not each.closed:
            _exit(each)
    limit = time.monotonic() + 1
    while _dropped and time.monotonic() < limit:
        time.sleep(0.001)
