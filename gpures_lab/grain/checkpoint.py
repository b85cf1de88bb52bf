"""From a running grain to a checkpoint and back.

``cut``: the grain as of one moment. Its later messages are held back on the host, its earlier ones
are waited for, its memory is copied by the calling thread while other grains of the ring go on;
then they follow. Hashing and writing happen afterwards, on the saver's thread.
"""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab.errors import GpuResError, RingFull, StateConflict
from gpures_lab.grain.kept import Kept, programs_of, with_durable
from gpures_lab.grain.unseen import report_unseen
from gpures_lab.metrics.units import bytes_text
from gpures_lab.ring.failures import interrupted_grain
from gpures_lab.ring.wire import HostWork

if TYPE_CHECKING:
    from gpures_lab._core._native import Completion, ResidentArray
    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.grain import Grain
    from gpures_lab.grain.store import StateStore
    from gpures_lab.grain.store.manifest import Json, Manifest

__all__ = ["Contents", "checkpoint", "contents_of", "copies_of", "hint_of", "keep", "restore"]

LOOK_AGAIN_S = 0.0005
LONGEST_PAUSE_S = 0.02
HINT_S = 5.0
"""How old a look for a checkpoint may be: others write them too."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Contents:
    """A grain as of one moment, in host memory."""

    arrays: dict[str, np.ndarray[Any, Any]]
    memory_types: dict[str, str]
    state: dict[str, Json]
    programs: dict[str, Json]
    version: int
    """The grain's `_version` at that moment."""
    number: int = field(default_factory=_numbers.__next__)
    """Later contents of a grain have a higher one."""


def checkpoint(grain: Grain, *, replace: bool) -> Completion[int]:
    """Serve `Grain.checkpoint`."""
    try:
        return _checkpoint(grain, replace=replace)
    except KeyboardInterrupt as error:
        raise (error if error.args else interrupted_grain(grain.key)) from None


def _checkpoint(grain: Grain, *, replace: bool) -> Completion[int]:
    owner: GrainManager = grain._owner()
    saver = owner._saver
    saver.store()  # a place that cannot be used is the caller's to hear of
    saver.room()
    # From before the cut, so that no eviction comes between it and the saving.
    grain._saving += 1
    try:
        contents = _cut(grain)
        report_unseen(owner)
        promise: Completion[int] = grain._promise(HostWork.CHECKPOINT)
    except BaseException:
        grain._saving -= 1
        raise

    def save() -> int:
        try:
            # Put away after the cut, by a deactivation before us: it comes back from that later
            # checkpoint, which ours would replace with less.
            if owner._residency.is_stored(grain) and grain._etag is not None:
                return grain._etag
            return keep(grain, contents, replace=replace, tidy=False)
        finally:
            grain._saving -= 1

    saver.give(promise, save)
    return promise


def _cut(grain: Grain) -> Contents:
    owner: GrainManager = grain._owner()
    since, pause = time.monotonic(), LOOK_AGAIN_S
    while True:
        owner._residency.wake(grain)
        if grain._begin_cut():
            if not grain._is_asleep():
                break
            grain._end_cut()
        # Messages held back and transfers come to an end; a borrow need not.
        now = time.monotonic()
        if not grain._is_borrowed():
            since = now
        elif now - since >= owner.options.full_wait_s:
            raise RingFull(
                f"grain {grain.key!r} is borrowed by another thread for "
                f"{owner.options.full_wait_s:g} s; leave its with block, then checkpoint again",
                grain=grain.key,
            )
        time.sleep(pause)
        pause = min(pause * 1.2, LONGEST_PAUSE_S)
    try:
        return contents_of(grain, patient=True)
    finally:
        grain._end_cut()


def contents_of(
    grain: Grain,
    arrays: dict[int, np.ndarray[Any, Any]] | None = None,
    *,
    patient: bool = False,
) -> Contents:
    """Copy what the grain holds; nobody else may change it meanwhile.

    ``arrays`` are its allocations by handle, where somebody has them already. When ``patient``,
    earlier messages may take as long as they want.
    """
    handles = grain._live()
    state = grain.state.snapshot()
    if arrays is None:
        arrays = copies_of(grain, handles, patient=patient)
    return Contents(
        arrays={handle.name: arrays[int(handle)] for handle in handles},
        memory_types={handle.name: handle.memory_type for handle in handles},
        state=state,
        programs=programs_of(grain),
        version=grain._version(),
    )


def copies_of(
    grain: Grain, handles: list[ResidentArray], *, patient: bool = False
) -> dict[int, np.ndarray[Any, Any]]:
    """Copy allocations, by handle, past what holds the grain's messages back."""
    arrays = {int(handle): np.empty(handle.shape, handle.dtype) for handle in handles}
    grain._read_all(
        [(handle, arrays[int(handle)].reshape(-1).view(np.uint8)) for handle in handles], patient
    )
    return arrays


def _is_durable_now(grain: Grain) -> None:
    owner = grain.manager
    if owner is not None and not owner.closed:
        with_durable.add(owner)


def keep(grain: Grain, contents: Contents, *, replace: bool = False, tidy: bool = True) -> int:
    """Save contents under the grain's next etag, unless later ones of it are kept already.

    Unless ``tidy``, the saver removes what the checkpoint before needed when it has answered.

    A checkpoint waits for its turn; a deactivation before it keeps what the grain held by then.
    """
    saver = grain.manager._saver  # also while the manager closes
    store: StateStore = saver.store()
    with saver.turn:
        if contents.number < grain._kept_number and grain._etag is not None:
            return grain._etag
        manifest = store.save(
            grain.key,
            contents.arrays,
            contents.state,
            kernels=grain._kernels(),
            programs=contents.programs,
            expected_etag=None if replace else grain._etag or 0,
            memory_types=contents.memory_types,
            dtype=grain.dtype.name,
            pace=saver.pace,
            tidy=tidy,
        )
        _is_durable_now(grain)
        grain._etag, grain._manifest, grain._hint = manifest.etag, manifest, None
        grain._kept = Kept(contents.version, contents.state, contents.programs)
        grain._kept_number = contents.number
    return manifest.etag


def hint_of(grain: Grain) -> str:
    """Say which checkpoint an unrestored grain has, and what brings it back, or what was lost.

    Looked up now and then, and never for long: reprs ask for it.
    """
    owner = grain.manager
    if grain._etag is not None or owner is None or owner.closed:
        return ""
    now = time.monotonic()
    if grain._hint is None or now - grain._hint[0] >= HINT_S:
        found = owner._saver.peek(grain.key)
        if found is not None:
            grain._hint = (now, _hint_text(owner, grain.key, found.manifest))
    if grain._hint is None:
        return _lost_text(owner, grain.key)
    return grain._hint[1]


def _hint_text(owner: GrainManager, key: str, found: Manifest | None) -> str:
    if found is None:
        return _lost_text(owner, key)
    when = datetime.fromtimestamp(found.saved_at).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 - as clocks here show it
    return (
        f"checkpoint {found.etag} of {when}, {bytes_text(found.nbytes)}: "
        f"lab.restore({key!r}) brings it back"
    )


def _lost_text(owner: GrainManager, key: str) -> str:
    if key not in owner._lost:
        return ""
    return f"its {owner._lost[key]} were never checkpointed and went with an engine that failed"


def restore(owner: GrainManager, key: str) -> Grain:
    """Serve `GrainManager.restore`."""
    store: StateStore = owner._saver.store()
    known = owner.grains.get(key)
    if known is not None:
        owner._saver.saved(known)  # what was asked for before comes first
    try:
        manifest, loaded = store.begin_load(key)
    except StateConflict as error:
        if key not in owner._lost:
            raise
        raise StateConflict(f"{error}; {_lost_text(owner, key)}", key=key) from error
    grain = owner.grain(key, dtype=manifest.dtype) if known is None else known
    live = grain._live()
    if live:
        raise StateConflict(
            f"grain {key!r} has {len(live)} live allocation{'s' * (len(live) != 1)} "
            f"({', '.join(handle.name for handle in live[:3])}{', …' if len(live) > 3 else ''}); "
            f"lab.grain({key!r}).discard() forgets them, then restore brings checkpoint "
            f"{manifest.etag} back",
            key=key,
            etag=manifest.etag,
        )
    made: list[ResidentArray] = []
    try:
        written = []
        for record in manifest.arrays:
            handle = grain.allocate(
                record.shape,
                dtype=record.dtype,
                name=record.name,
                zero=False,
                memory_type=record.memory_type,  # type: ignore[arg-type]
            )
            made.append(handle)
            # Written while its digest is computed; nobody sees it before that is verified.
            written.append(grain.write(handle, loaded[record.name].array))
        for each in loaded.values():
            each.verified()
        for done in written:
            done.result()
    except BaseException:
        for handle in made:
            grain._named.pop(handle.name, None)
            with suppress(GpuResError):  # the first error is the one to hear of
                grain.release(handle)
        raise
    grain._use_dtype(np.dtype(manifest.dtype))
    grain.state.replace(manifest.state if isinstance(manifest.state, dict) else {})
    grain._program_texts = dict(manifest.programs)
    _is_durable_now(grain)
    grain._etag, grain._manifest, grain._hint = manifest.etag, manifest, None
    grain._kept = Kept.of(manifest, grain._version())
    return grain
