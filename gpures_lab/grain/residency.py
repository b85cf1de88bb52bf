"""Which grains have memory: deactivation (asked for, idle, for want of room) and the way back.

A deactivated grain is *asleep*: its handles live on without memory, its contents lie in the store
(durable grains) or in the spill folder, and the next call on it wakes it first. Whoever changes
who has memory holds one lock, so two grains never wait for each other's room.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gpures_lab.errors import GpuResError, PoolExhausted, RingFull, StaleHandle, StateConflict
from gpures_lab.grain.checkpoint import Contents, contents_of, copies_of, keep
from gpures_lab.grain.kept import Kept
from gpures_lab.grain.spill import Spill, SpilledArray
from gpures_lab.grain.store.blobs import encode
from gpures_lab.metrics.units import bytes_text
from gpures_lab.ring.wire import HostWork

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gpures_lab._core._native import Completion, ResidentArray
    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.grain import Grain

__all__ = ["Asleep", "Residency", "deactivate", "make_room", "wake"]

logger = logging.getLogger("gpures_lab")

LOOK_AGAIN_S = 0.0005
RACES = 100


class Asleep(Protocol):
    """Where the contents of a grain wait."""

    def load(self, handles: list[ResidentArray]) -> dict[int, NDArray[Any]]:
        """Return contents by handle."""

    def rename(self, handles: dict[int, int]) -> None:
        """Go by other handles from now on: old to new."""

    def forget(self) -> None:
        """Remove what nobody needs any more."""


class _Stored:
    """As a checkpoint: this very one, whatever its key has by then."""

    def __init__(self, grain: Grain, spill: Spill) -> None:
        assert grain._manifest is not None
        self._owner, self._manifest, self._spill = grain.manager, grain._manifest, spill
        store = self._owner._saver.store()
        handles = {handle.name: handle for handle in grain._live()}
        self._pinned: dict[str, Path] = {}
        try:
            for record in self._manifest.arrays:
                if record.digest in self._pinned:
                    continue
                file = store.blob_file(record.digest)
                pinned = None if file is None else spill.pin(file)
                if pinned is None:  # another disk, or no disk: the same bytes once more
                    handle = handles[record.name]
                    blob = encode(record.name, copies_of(grain, [handle])[int(handle)])
                    pinned = spill.keep(blob.header, blob.data)
                self._pinned[record.digest] = pinned
        except BaseException:
            self.forget()
            raise

    def kept(self, version: int) -> Kept:
        """Return what a grain of this version has in the store."""
        return Kept.of(self._manifest, version)

    def load(self, handles: list[ResidentArray]) -> dict[int, NDArray[Any]]:
        arrays = self._owner._saver.store().load_kept(self._manifest, self._pinned)
        return {int(handle): arrays[handle.name] for handle in handles}

    def rename(self, handles: dict[int, int]) -> None:
        """Nothing: a manifest goes by names."""

    def forget(self) -> None:
        for path in self._pinned.values():
            self._spill.remove(path)


class _Spilled:
    def __init__(self, spill: Spill, arrays: dict[int, SpilledArray]) -> None:
        self._spill, self._arrays = spill, arrays

    def load(self, handles: list[ResidentArray]) -> dict[int, NDArray[Any]]:
        return {
            int(handle): self._spill.read(self._arrays[int(handle)]).view(handle.dtype)
            for handle in handles
        }

    def rename(self, handles: dict[int, int]) -> None:
        self._arrays = {handles[old]: each for old, each in self._arrays.items()}

    def forget(self) -> None:
        for each in self._arrays.values():
            self._spill.remove(each.path)


class Residency:
    """Who of a manager's grains has memory."""

    def __init__(self, owner: GrainManager) -> None:
        self._weak_owner = weakref.ref(owner)  # a manager that nobody holds ends at once
        self.lock = threading.RLock()
        self._asleep: dict[Grain, Asleep] = {}
        self._spill = Spill()

    @property
    def _owner(self) -> GrainManager:
        owner = self._weak_owner()
        assert owner is not None  # a grain holds its manager, and only grains come here
        return owner

    def wake(self, grain: Grain) -> None:
        """Give a grain its memory back, contents and all; nothing if it has it."""
        if not grain._is_asleep():
            return
        with self.lock:
            if not grain._is_asleep():
                return
            handles = grain._live()
            where = self._asleep.get(grain)
            if where is None:
                raise StaleHandle(
                    f"grain {grain.key!r} went with an engine that failed; lab.grain({grain.key!r})"
                    " is the one that has taken its place",
                    grain=grain.key,
                )
            arrays = where.load(handles)
            try:
                for handle in handles:
                    grain._give_memory(handle)
                    # In ring order: what the caller posts next comes after it.
                    grain._fill(handle, arrays.pop(int(handle)).reshape(-1).view(np.uint8))
            except BaseException:
                grain._drop_memory()
                raise
            if isinstance(where, _Stored):
                # Nothing but the messages of the way back lies between it and its checkpoint.
                grain._kept = where.kept(grain._version(posted=True))
            grain._wake_up()
            del self._asleep[grain]
            where.forget()
        logger.info("grain %r reactivated: %d allocations", grain.key, len(handles))

    def sleep(self, grain: Grain, *, asked: bool) -> bool:
        """Save a grain and take its memory. False: it is in use, or asleep.

        Parameters
        ----------
        asked
            By the user: pending messages are waited for, and a durable grain that the store
            refuses stays; else it is left alone while in use, and spilled if need be.
        """
        with self.lock:
            if (grain._saving and not asked) or not grain._fall_asleep(not asked):
                return False
            try:
                where = self._put_away(grain, asked=asked)
            except BaseException:
                grain._wake_up()
                raise
            grain._drop_memory()
            self._asleep[grain] = where
        logger.info("grain %r deactivated", grain.key)
        return True

    def _put_away(self, grain: Grain, *, asked: bool) -> Asleep:
        if grain.durable:
            try:
                if grain._changed():
                    keep(grain, contents_of(grain))
                return _Stored(grain, self._spill)
            except GpuResError:
                if asked:
                    raise
                logger.warning("durable grain %r spilled: the store refused it", grain.key)
        spilled: dict[int, SpilledArray] = {}
        try:
            for handle in grain._live():
                data = copies_of(grain, [handle])[int(handle)].reshape(-1).view(np.uint8)
                spilled[int(handle)] = self._spill.write(data)
        except BaseException:
            _Spilled(self._spill, spilled).forget()
            raise
        return _Spilled(self._spill, spilled)

    def make_room(self, wanting: Grain, nbytes: int, attempt: int) -> bool:
        """Deactivate the least recently used grains until ``nbytes`` more fit. False: no room.

        Grains with messages under way are waited for, as a full ring is.

        Raises
        ------
        PoolExhausted
            A grain could have made room, and the disk did not take it.
        """
        engine = self._owner._engine
        limit = time.monotonic() + self._owner.options.full_wait_s
        while True:
            pool = engine.snapshot()
            missing = pool["pool_used_bytes"] + nbytes - pool["pool_limit_bytes"]
            if nbytes > pool["pool_limit_bytes"]:
                return False
            if missing <= 0 and attempt < RACES:
                return True  # another thread has given something back
            with self.lock:
                freed, waiting, refused = self._evict(wanting, missing)
            if refused is not None and not freed:
                raise PoolExhausted(
                    f"{bytes_text(nbytes)} do not fit: {bytes_text(pool['pool_used_bytes'])} of "
                    f"{bytes_text(pool['pool_limit_bytes'])} in use, and no grain could be put "
                    f"away to make room: {refused}",
                    wanted=nbytes,
                    used=pool["pool_used_bytes"],
                    idle=pool["pool_idle_bytes"],
                    limit=pool["pool_limit_bytes"],
                ) from refused
            if freed or not waiting or time.monotonic() >= limit:
                return freed > 0
            time.sleep(LOOK_AGAIN_S)

    def _evict(self, wanting: Grain, missing: int) -> tuple[int, bool, GpuResError | None]:
        freed, waiting = 0, False
        refused: GpuResError | None = None
        for idle_ns, grain in self._by_use(wanting):
            counts = grain._counts()
            if not counts["bytes"]:
                continue
            try:
                if self.sleep(grain, asked=False):
                    logger.info("evicted grain %r, idle for %d ns", grain.key, idle_ns)
                    freed += counts["bytes"]
                else:
                    waiting |= counts["pending"] > 0 or grain._saving > 0
            except RingFull:
                waiting = True  # its ring has work of others that must end first
            except GpuResError as error:  # such as a full disk; a smaller grain may still fit
                refused = refused or error
            if freed >= missing:
                break
        return freed, waiting, refused

    def sweep(self, idle_after_ns: int) -> int | None:
        """Deactivate grains without messages for so long; how many. None: nobody holds them."""
        count = 0
        owner = self._weak_owner()  # held meanwhile
        if owner is None:
            return None
        with self.lock:
            for idle_ns, grain in self._by_use(None):
                if idle_ns < idle_after_ns:
                    break
                try:
                    count += bool(grain._counts()["bytes"]) and self.sleep(grain, asked=False)
                except GpuResError as error:
                    logger.warning("idle grain %r stays: %s", grain.key, error)
        return count

    def _by_use(self, but: Grain | None) -> list[tuple[int, Grain]]:
        awake = [
            (grain._counts()["idle_ns"], grain)
            for grain in self._owner.grains.values()
            if grain is not but and not grain._is_asleep()
        ]
        return sorted(awake, key=lambda each: -each[0])

    def discard(self, grain: Grain) -> bool:
        """Forget a grain that is asleep. False: it is awake."""
        with self.lock:
            where = self._asleep.pop(grain, None)
            if where is None:
                return False
            grain._forget()
            where.forget()
            return True

    def take_over(self, grain: Grain, where: Asleep) -> None:
        """Let a new grain sleep in the place of one that is gone."""
        with self.lock:
            if not grain._fall_asleep(False):
                raise RingFull(f"grain {grain.key!r} is in use already", grain=grain.key)
            grain._drop_memory()
            self._asleep[grain] = where

    def take_all(self) -> list[tuple[Grain, Asleep]]:
        """Hand over the grains that are asleep; for who brings them elsewhere."""
        with self.lock:
            taken = list(self._asleep.items())
            self._asleep.clear()
        return taken

    def is_stored(self, grain: Grain) -> bool:
        """Whether a grain that is asleep lies in the store."""
        return isinstance(self._asleep.get(grain), _Stored)

    def is_kept(self, grain: Grain) -> bool:
        """Whether a grain that is asleep lies in the store as it is, state and programs too."""
        where = self._asleep.get(grain)
        return isinstance(where, _Stored) and not where.kept(0).is_behind(grain, 0)

    def contents_at_the_end(self, grain: Grain) -> Contents:
        """Return what a grain holds when no message can wake it any more."""
        where = self._asleep.get(grain)
        if where is None:
            return contents_of(grain)
        if not isinstance(where, _Stored):
            raise StateConflict("the store had refused it when it was deactivated")
        return contents_of(grain, where.load(grain._live()))

    def close(self) -> None:
        """Remove the spill folder."""
        with self.lock:
            self._asleep.clear()
            self._spill.close()


def deactivate(grain: Grain) -> Completion[None]:
    """Serve `Grain.deactivate`."""
    owner: GrainManager = grain._owner()
    promise: Completion[None] = grain._promise(HostWork.DEACTIVATE)

    owner._saver.give(promise, lambda: _until_asleep(owner, grain))
    return promise


def _until_asleep(owner: GrainManager, grain: Grain) -> None:
    limit = time.monotonic() + owner.options.full_wait_s
    while not grain._is_asleep() and not owner._residency.sleep(grain, asked=True):
        if time.monotonic() >= limit:
            raise RingFull(
                f"grain {grain.key!r} is in use (borrowed, or a call of another thread waits) for "
                f"{owner.options.full_wait_s:g} s; it stays active",
                grain=grain.key,
            )
        time.sleep(LOOK_AGAIN_S)


def wake(grain: Grain) -> None:
    """Give the grain its memory back, if a deactivation took it."""
    if grain._is_asleep():
        grain._owner()._residency.wake(grain)


def make_room(grain: Grain, nbytes: int, attempt: int) -> bool:
    """Serve the native binding: an allocation found the pool full, for the n-th time."""
    owner = grain.manager
    return owner is not None and owner._residency.make_room(grain, nbytes, attempt)
