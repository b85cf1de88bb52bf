"""`await completion` on asyncio, on any number of loops, without a thread that waits.

Native code writes to a descriptor of the loop when a watched request is answered; no native
thread ever takes the GIL for it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from gpures_lab._core._native import Completion

__all__ = ["awaiting"]


class _LoopWatch:
    """One event loop's descriptor and the futures that wait behind it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waiting: dict[int, tuple[Completion[Any], asyncio.Future[None]]] = {}
        self._loop = weakref.ref(loop)
        self._reader, self._writer = _descriptors()
        loop.add_reader(self._reader, self._wake)
        weakref.finalize(loop, _close, {self._reader, self._writer})

    def future(self, completion: Completion[Any]) -> asyncio.Future[None]:
        loop = self._loop()
        assert loop is not None
        future: asyncio.Future[None] = loop.create_future()
        self._waiting[id(future)] = (completion, future)
        if completion._notify(self._writer):
            self._settle()
        return future

    def _wake(self) -> None:
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            return
        self._settle()

    def _settle(self) -> None:
        for key, (completion, future) in list(self._waiting.items()):
            if future.cancelled():
                del self._waiting[key]
            elif completion.done():
                del self._waiting[key]
                future.set_result(None)


_watches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopWatch] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()


def awaiting(completion: Completion[Any]) -> Generator[Any, None, Any]:
    """Serve ``Completion.__await__``: wait on the running loop, then return the result."""
    if not completion.done():
        loop = asyncio.get_running_loop()
        with _lock:
            watch = _watches.get(loop)
            if watch is None:
                watch = _watches[loop] = _LoopWatch(loop)
        yield from watch.future(completion).__await__()
    return completion.result()


def _descriptors() -> tuple[int, int]:
    if hasattr(os, "eventfd"):
        both = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return both, both
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer


def _close(descriptors: set[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
