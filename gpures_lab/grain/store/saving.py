"""One save on its way.

It leases its blobs, writes them, then moves the manifest from etag n to n + 1 in one transaction
that also ends the leases. Killed at any point it leaves n or n + 1. What n needed and nobody else
does is removed afterwards.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Self

from gpures_lab.errors import StateConflict
from gpures_lab.grain.store.failures import explained
from gpures_lab.grain.store.leftovers import forget_blobs, live_blobs
from gpures_lab.grain.store.manifest import Manifest, digest_of, key_id

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gpures_lab.grain.store.blobs import Blob, BlobStore
    from gpures_lab.grain.store.database import Database
    from gpures_lab.grain.store.pace import Pace

__all__ = ["Save", "check_etag", "last_etag", "uses_of"]

LARGE_BYTES: Final = 1 << 20
"""From here on a blob is written while it is hashed, even if the store turns out to have it."""
LEASE_S: Final = 3600.0
"""How long a save may take; for so long a prune keeps what a killed save had written."""


class Save:
    """Writes blobs under leases of its own; whatever goes wrong in its block ends them.

    Parameters
    ----------
    limit_bytes
        The most bytes that the blobs of all checkpoints may take.
    pace
        How fast to go.
    """

    def __init__(self, database: Database, blobs: BlobStore, limit_bytes: int, pace: Pace) -> None:
        self._database, self._blobs = database, blobs
        self._limit_bytes, self._pace = limit_bytes, pace
        self._writer = secrets.token_hex(16)
        self._leased = False
        self.replaced: set[str] = set()
        """Digests that the checkpoint before needed and this one does not."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After Ctrl-C they run out by themselves: the database may be what was waited for.
        if kind is not None and self._leased and issubclass(kind, Exception):
            self._give_up()

    def check_etag(self, key: str, expected: int) -> None:
        """Raise `StateConflict` unless the key's checkpoint is the expected one."""
        with explained(self._database.name), self._database.read() as connection:
            check_etag(key, _etag(connection, key), expected)

    def write(self, blobs: Mapping[str, Blob]) -> dict[str, str]:
        """Write blobs under leases; their digests by name. Large ones are hashed meanwhile."""
        coming = {
            name: secrets.token_hex(32)  # a lease until the digest is known
            for name, blob in blobs.items()
            if self._blobs.local and blob.nbytes >= LARGE_BYTES
        }
        try:
            if coming:
                self._lease({coming[name]: blobs[name].nbytes for name in coming}, ())
            digests = {}
            for name, blob in blobs.items():
                with explained(self._blobs.url):
                    digests[name] = (
                        self._blobs.bring(coming[name], blob, self._pace)
                        if name in coming
                        else blob.digest()
                    )
            needed = {digests[name]: blob.nbytes for name, blob in blobs.items()}
            self._lease(needed, coming.values())
            with explained(self._blobs.url):
                for name, blob in blobs.items():
                    if name in coming:
                        self._blobs.adopt(coming[name], digests[name])
                    else:
                        self._blobs.write(digests[name], blob)
        except BaseException:
            for temporary in coming.values():
                self._blobs.drop(temporary)
            raise
        return digests

    def _lease(self, wanted: Mapping[str, int], written: Iterable[str]) -> None:
        """Lease digests, within the limit, beside what lies there under other names by now."""
        from gpures_lab.grain.store.database import leases, manifest_bytes

        now = time.time()
        rows = [
            {"writer": self._writer, "digest": digest, "nbytes": nbytes, "until": now + LEASE_S}
            for digest, nbytes in [*wanted.items(), *dict.fromkeys(written, 0).items()]
        ]
        with explained(self._database.name), self._database.write() as connection:
            self._leased = True
            connection.execute(leases.delete().where(leases.c.writer == self._writer))
            if rows:
                connection.execute(leases.insert(), rows)
            needed = sum(live_blobs(connection).values()) + manifest_bytes(connection)
            if needed > self._limit_bytes:
                raise StateConflict(
                    f"checkpoints would need {needed:,} bytes, the one before this among them; "
                    f"the limit is {self._limit_bytes:,}; nothing was changed; remove one "
                    "(lab.remove_checkpoint(key), gpures-lab storage --remove KEY), or set "
                    "GPURES_STATE_LIMIT_BYTES to more",
                    needed=needed,
                    limit=self._limit_bytes,
                )

    def commit(self, draft: Manifest, expected: int | None) -> Manifest:
        """Move the key's manifest from etag n to n + 1, and end the leases, in one transaction."""
        import sqlalchemy as sa

        from gpures_lab.grain.store.database import grains, leases, uses

        row = key_id(draft.key)
        needed = {record.digest for record in draft.arrays}
        with explained(self._database.name), self._database.write() as connection:
            found = _etag(connection, draft.key)
            if expected is not None:
                check_etag(draft.key, found, expected)
            leased = connection.execute(
                sa.select(leases.c.digest, leases.c.nbytes).where(leases.c.writer == self._writer)
            ).all()
            held = [lease for lease in leased if lease.digest in needed]
            if len(held) != len(needed):
                raise StateConflict(
                    f"the checkpoint of {draft.key!r} took longer than {LEASE_S:g} s and a prune "
                    "has removed its blobs; checkpoint again",
                    key=draft.key,
                )
            last = last_etag(connection, draft.key)  # more than `found` where one was removed
            manifest = dataclasses.replace(draft, etag=last + 1)
            text = manifest.to_text()
            values = {
                "etag": manifest.etag,
                "manifest": text,
                "digest": digest_of(text.encode()),
            }
            if last:
                connection.execute(grains.update().where(grains.c.key_id == row).values(values))
            else:
                connection.execute(grains.insert().values(key_id=row, **values))
            before = uses_of(connection, draft.key)
            connection.execute(uses.delete().where(uses.c.key_id == row))
            if held:
                connection.execute(
                    uses.insert(),
                    [{"key_id": row, "digest": one.digest, "nbytes": one.nbytes} for one in held],
                )
            connection.execute(leases.delete().where(leases.c.writer == self._writer))
        self._leased = False
        self.replaced = before - needed
        return manifest

    def _give_up(self) -> None:
        """End the leases of a save that failed; its own error matters more than ours."""
        import sqlalchemy as sa
        from sqlalchemy.exc import SQLAlchemyError

        from gpures_lab.grain.store.database import leases

        own = leases.c.writer == self._writer
        try:
            with self._database.write() as connection:
                written = set(connection.scalars(sa.select(leases.c.digest).where(own)))
                connection.execute(leases.delete().where(own))
        except (SQLAlchemyError, StateConflict):
            return  # they run out by themselves
        forget_blobs(self._database, self._blobs, written)


def _etag(connection: sa.Connection, key: str) -> int:
    """Etag of the key's checkpoint; 0 if there is none."""
    return last_etag(connection, key, there=True)


def last_etag(connection: sa.Connection, key: str, *, there: bool = False) -> int:
    """Etag of the key's last checkpoint, also if it was removed, unless it must be ``there``."""
    import sqlalchemy as sa

    from gpures_lab.grain.store.database import grains

    query = sa.select(grains.c.etag).where(grains.c.key_id == key_id(key))
    if there:
        query = query.where(grains.c.manifest != "")
    return connection.execute(query).scalar() or 0


def uses_of(connection: sa.Connection, key: str) -> set[str]:
    """Digests that the key's checkpoint needs."""
    import sqlalchemy as sa

    from gpures_lab.grain.store.database import uses

    query = sa.select(uses.c.digest).where(uses.c.key_id == key_id(key))
    return set(connection.scalars(query))


def check_etag(key: str, found: int, expected: int) -> None:
    """Raise `StateConflict` unless the key's checkpoint is the expected one."""
    if found == expected:
        return
    text = (
        f"the checkpoint of {key!r} has etag {found}, expected {expected}: another writer was "
        "here, or it was not restored; use restore() to continue from it, or "
        "checkpoint(replace=True) to replace it"
    )
    if not found:
        text = (
            f"checkpoint {expected} of {key!r} was removed by somebody else; "
            "checkpoint(replace=True) makes a new one"
        )
    raise StateConflict(text, key=key, found=found, expected=expected)
