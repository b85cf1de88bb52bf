"""What a store has: the checkpoints that can be read, and those that cannot."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from gpures_lab.errors import CheckpointCorrupt
from gpures_lab.grain.store.manifest import Manifest, key_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

__all__ = ["Damaged", "Listing"]

_KEY: Final = re.compile(r'"key":("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True)
class Damaged:
    """A checkpoint whose manifest cannot be trusted.

    Attributes
    ----------
    key
        Whose it is; ``None`` where the damage took that too.
    etag
        Its number.
    problem
        What is wrong with it.
    """

    key: str | None
    etag: int
    problem: str

    def __str__(self) -> str:
        whose = "a key that cannot be read" if self.key is None else repr(self.key)
        return f"checkpoint {self.etag} of {whose} is damaged: {self.problem}"


@dataclass(frozen=True, slots=True)
class Listing:
    """Every checkpoint of a store, by key."""

    manifests: tuple[Manifest, ...]
    damaged: tuple[Damaged, ...]

    @classmethod
    def of(cls, rows: Iterable[sa.Row[tuple[str, int, str, str]]]) -> Self:
        """Read rows of the table of grains; one that is damaged hides no other."""
        manifests, damaged = [], []
        for row in rows:
            try:
                manifests.append(Manifest.from_text(row.manifest, row.digest))
            except CheckpointCorrupt as error:
                damaged.append(Damaged(_key_in(row.manifest, row.key_id), row.etag, str(error)))
        return cls(
            tuple(sorted(manifests, key=lambda manifest: manifest.key)),
            tuple(sorted(damaged, key=lambda one: (one.key is None, one.key or "", one.etag))),
        )


def _key_in(text: object, expected: str) -> str | None:
    """Return the key that a damaged manifest names, if it is surely that row's."""
    found = _KEY.search(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        key = json.loads(found[1])
        return key if key_id(key) == expected else None
    except ValueError:  # no JSON, or no UTF-8
        return None
