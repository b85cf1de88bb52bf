"""`await completion` on asyncio, on any number of loops, without a thread that waits.

Native code writes to a descriptor of the loop when a watched request is answered; no native
thread ever takes the GIL for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from gpures_lab.errors import RingClosed
from gpures_lab.ring.failures import borrowed, quiesced

if TYPE_CHECKING:
    from collections.abc import Generator

    from gpures_lab._core._native import Completion

__all__ = ["awaiting"]

# A completion has room for one descriptor; a second loop looks now and then instead.
LOOK_AGAIN_S = 0.001


class _LoopWatch:
    """One event loop's descriptor and the futures that wait behind it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Futures know their loop, so nothing outside it may hold them; completions do not.
        self._futures: dict[int, asyncio.Future[None]] = {}
        self._watched: dict[int, Completion[Any]] = {}
        self._loop = weakref.ref(loop)
        self._reader, self._writer = _descriptors()
        loop.add_reader(self._reader, self._wake)
        weakref.finalize(loop, _close, {self._reader, self._writer}, self._watched)

    def future(self, completion: Completion[Any]) -> asyncio.Future[None]:
        loop = self._loop()
        assert loop is not None
        future: asyncio.Future[None] = loop.create_future()
        state = completion._notify(self._writer)
        if state == "taken":
            self._look(completion, future)
        elif state == "answered":
            future.set_result(None)
        else:
            self._futures[id(future)] = future
            self._watched[id(future)] = completion
        return future

    def _look(self, completion: Completion[Any], future: asyncio.Future[None]) -> None:
        loop = self._loop()
        if loop is None or future.done():
            return
        if completion.done():
            future.set_result(None)
        else:
            loop.call_later(LOOK_AGAIN_S, self._look, completion, future)

    def _wake(self) -> None:
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            return
        self._settle()

    def _settle(self) -> None:
        for key, completion in list(self._watched.items()):
            # A cancelled wait stays listed until the answer: the descriptor is still watched.
            if completion.done():
                del self._watched[key]
                future = self._futures.pop(key)
                if not future.done():
                    future.set_result(None)


# Weak on both sides: an open loop holds its watch as a reader.
_watches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[_LoopWatch]] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()


def awaiting(completion: Completion[Any]) -> Generator[Any, None, Any]:
    """Iterate as ``Completion.__await__`` must: wait on the loop, then return the result."""
    if not completion.done():
        loop = asyncio.get_running_loop()
        # Another task of this thread may wait for what the borrowing one holds back.
        if completion._blocked and completion.grain._task in {None, asyncio.current_task()}:
            raise borrowed(completion.grain.key)
        # So may another than the one whose with block this is.
        if completion._quiesced and completion.grain.manager._quiesces(asyncio.current_task()):
            raise quiesced(completion.grain.key)
        with _lock:
            known = _watches.get(loop)
            watch = known() if known is not None else None
            if watch is None:
                watch = _LoopWatch(loop)
                _watches[loop] = weakref.ref(watch)
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


def _close(descriptors: set[int], watched: dict[int, Completion[Any]]) -> None:
    # Before the numbers are free for somebody else's files.
    for completion in watched.values():
        with contextlib.suppress(RingClosed):  # a forked child: its engine writes nothing
            completion._notify(-1)
    watched.clear()
    for descriptor in descriptors:
        os.close(descriptor)
