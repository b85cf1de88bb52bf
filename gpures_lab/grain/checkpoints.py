"""What a manager does with checkpoints: list, bring back, remove."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, cast

from gpures_lab.grain.checkpoint import restore
from gpures_lab.grain.supervision import relaunch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.grain import Grain
    from gpures_lab.grain.residency import Residency
    from gpures_lab.grain.saver import Saver
    from gpures_lab.grain.store.manifest import Manifest

__all__ = ["Checkpoint", "HasCheckpoints"]

logger = logging.getLogger("gpures_lab")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a key has in the store.

    Attributes
    ----------
    key, etag
        Whose it is, and its number.
    saved_at
        When, in UTC.
    arrays
        Names of the allocations.
    nbytes
        Bytes of their contents.
    """

    key: str
    etag: int
    saved_at: datetime
    arrays: tuple[str, ...]
    nbytes: int

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return what a manifest says."""
        return cls(
            manifest.key,
            manifest.etag,
            datetime.fromtimestamp(manifest.saved_at, UTC),
            tuple(record.name for record in manifest.arrays),
            manifest.nbytes,
        )


class HasCheckpoints:
    """The part of a manager that has to do with its store."""

    _saver: Saver
    _residency: Residency

    if TYPE_CHECKING:

        @property
        def grains(self) -> Mapping[str, Grain]:
            """As `GrainManager` has it."""

        def _check_open(self) -> None: ...

    def restore(self, key: str) -> Grain:
        """Bring a grain back from its last checkpoint; every digest is verified.

        On a manager whose engine has failed, a new engine is made first; deactivated grains come
        along, others come back by a `restore` of their own. What was neither deactivated nor ever
        checkpointed is lost: its key's grain begins empty, and its repr says what it had held.

        Returns
        -------
        Grain
            With `handles` and `state` as they were. Its allocations belong to the grain.

        Raises
        ------
        StateConflict
            The key has no checkpoint, or the grain has live allocations (`discard` forgets them).
        CheckpointCorrupt
            Stored bytes do not match their digest, or are missing. The grain is as before.
        PoolExhausted
            The pool's limit leaves no room. The grain is empty.
        DeviceLost
            The device cannot be used by this process any more; says what brings the data back.
        """
        self._check_open()
        owner = cast("GrainManager", self)
        if owner._engine.state == "FAILED":
            relaunch(owner, key)
        return restore(owner, key)

    def checkpoints(self) -> dict[str, Checkpoint]:
        """Return what the store has, by key: ``if "scores" in lab.checkpoints(): lab.restore(…)``.

        One whose manifest is damaged is left out, and a warning in the log says which.

        Raises
        ------
        InvalidOption, StateConflict
            The store cannot be used, or it stayed locked.
        """
        self._check_open()
        if not self._saver.exists():
            return {}
        found = self._saver.store().list()
        for damaged in found.damaged:
            logger.warning("%s", damaged)
        return {each.key: Checkpoint.of(each) for each in found.manifests}

    def remove_checkpoint(self, key: str) -> None:
        """Remove a key's checkpoint and what only it held; a grain of that key keeps its memory.

        From then on the grain is durable only if it was made so; a next checkpoint goes on with
        the next etag, so no writer takes it for the one that was removed.

        Raises
        ------
        StateConflict
            The key has no checkpoint.
        PoolExhausted
            Its grain is deactivated, and there is no room to bring it back. Nothing was removed.
        InvalidOption
            The store cannot be used.
        """
        self._check_open()
        saver, grain = self._saver, self.grains.get(key)
        if grain is not None:
            saver.saved(grain)
        with self._residency.lock:  # it stays awake meanwhile
            if grain is not None:
                self._residency.wake(grain)  # its contents may be what is removed
            with saver.turn:
                saver.store().remove(key)
            if grain is not None:
                grain._etag = grain._kept = grain._manifest = grain._hint = None
