"""What ``gpures-lab storage`` prints: the checkpoints, where they lie, the room they take."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from gpures_lab import environment
from gpures_lab.errors import StateConflict
from gpures_lab.grain.store.places import blobs_path, database_path, is_there
from gpures_lab.grain.store.store import Pruned, StateStore, Usage
from gpures_lab.metrics.units import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpures_lab.grain.store.listing import Damaged
    from gpures_lab.grain.store.manifest import Manifest

__all__ = ["Storage"]


@dataclass(frozen=True, slots=True)
class Storage:
    """What there is, and what was removed."""

    checkpoints: tuple[Manifest, ...]
    usage: Usage
    removed: tuple[tuple[str, int], ...] = ()
    pruned: Pruned | None = None
    damaged: tuple[Damaged, ...] = ()

    @classmethod
    def look(
        cls,
        state_url: str | None = None,
        blobs_url: str | None = None,
        *,
        remove: Sequence[str] = (),
        prune: bool = False,
    ) -> Self:
        """Remove keys' checkpoints and prune, if asked for, and list what is left.

        Raises
        ------
        StateConflict
            A key has no checkpoint. Those before it were removed.
        """
        if not is_there(state_url):  # a listing makes no files
            if remove:
                raise StateConflict(f"{remove[0]!r} has no checkpoint; nothing was removed")
            return cls((), _nothing(state_url, blobs_url), pruned=Pruned(0, 0) if prune else None)
        with StateStore(state_url, blobs_url) as store:
            removed = tuple((key, store.remove(key)) for key in remove)
            pruned = store.prune() if prune else None
            found = store.list()
            return cls(found.manifests, store.usage(), removed, pruned, found.damaged)

    def to_json(self) -> dict[str, Any]:
        """Return the same as JSON."""
        return {
            "checkpoints": [
                {
                    "key": one.key,
                    "etag": one.etag,
                    "saved_at": one.saved_at,
                    "arrays": len(one.arrays),
                    "nbytes": one.nbytes,
                }
                for one in self.checkpoints
            ],
            "damaged": [dataclasses.asdict(one) for one in self.damaged],
            "usage": dataclasses.asdict(self.usage),
            "removed": [{"key": key, "etag": etag} for key, etag in self.removed],
            "pruned": dataclasses.asdict(self.pruned) if self.pruned else None,
        }

    def __str__(self) -> str:
        usage = self.usage
        lines = [
            f"{one.key!r}  checkpoint {one.etag} of "
            f"{datetime.fromtimestamp(one.saved_at, UTC):%Y-%m-%d %H:%M} UTC, "
            f"{plural(len(one.arrays), 'array')}, {one.nbytes:,} bytes"
            for one in self.checkpoints
        ]
        lines += [str(one) for one in self.damaged]
        lines += [f"removed checkpoint {etag} of {key!r}" for key, etag in self.removed]
        if self.pruned:
            blobs = plural(self.pruned.blobs, "blob")
            lines.append(f"removed {blobs}, {self.pruned.nbytes:,} bytes")
        lines.append(
            f"{plural(len(self.checkpoints), 'checkpoint')}; {plural(usage.blobs, 'blob')}, "
            f"{usage.nbytes:,} bytes; database {usage.database_nbytes:,} bytes; limit "
            f"{usage.limit_bytes:,} bytes; a prune would free {usage.free_nbytes:,}"
        )
        lines += [f"database {usage.database}", f"blobs    {usage.place}"]
        return "\n".join(lines)


def _nothing(state_url: str | None, blobs_url: str | None) -> Usage:
    return Usage(
        blobs=0,
        nbytes=0,
        free_nbytes=0,
        database_nbytes=0,
        limit_bytes=environment.state_limit_bytes(),
        database=state_url or f"sqlite:///{database_path()}",
        place=blobs_url or str(blobs_path()),
    )
