"""The process's own manager, and which one to look at."""

from __future__ import annotations

import threading

from gpures_lab.grain.directory import GrainManager
from gpures_lab.grain.ending import living

__all__ = ["manager", "open_manager", "open_managers"]

_own: GrainManager | None = None
_own_lock = threading.Lock()


def manager() -> GrainManager:
    """Return this process's own manager; after its `close` (or a fork) the next call makes one."""
    global _own  # noqa: PLW0603 - one manager a process is what this function is for
    with _own_lock:
        if _own is None or _own.closed:
            _own = GrainManager()
        return _own


def open_manager() -> GrainManager | None:
    """Return the manager to look at: this process's own, else the newest open one. Makes none."""
    own = _own
    if own is not None and not own.closed:
        return own
    return max(open_managers(), key=lambda each: each.start_time, default=None)


def open_managers() -> list[GrainManager]:
    """Return every open manager that somebody holds, in no order."""
    return [each for each in list(living) if not each.closed]
