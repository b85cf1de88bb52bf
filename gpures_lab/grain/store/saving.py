"""One save on its way.

It leases its blobs, writes them, then moves the manifest from etag n to n + 1 in one transaction
that also ends the leases. Killed at any point it leaves n or n + 1.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from gpures_lab.errors import StateConflict
from gpures_lab.grain.store.failures import explained
from gpures_lab.grain.store.manifest import Manifest, digest_of, key_id

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gpures_lab.grain.store.blobs import Blob, BlobStore
    from gpures_lab.grain.store.database import Database
    from gpures_lab.grain.store.pace import Pace

__all__ = ["Save", "check_etag", "live_blobs"]

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._leased:
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
                self._lease({coming[name]: blobs[name].nbytes for name in coming})
            digests = {}
            for name, blob in blobs.items():
                with explained(self._blobs.url):
                    digests[name] = (
                        self._blobs.bring(coming[name], blob, self._pace)
                        if name in coming
                        else blob.digest()
                    )
            needed = {digests[name]: blob.nbytes for name, blob in blobs.items()}
            self._lease(needed, only=True)
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

    def _lease(self, wanted: Mapping[str, int], *, only: bool = False) -> None:
        """Lease digests; ``only`` these from here on, and then within the limit."""
        from gpures_lab.grain.store.database import leases

        self._leased = True
        until = time.time() + LEASE_S
        rows = [
            {"writer": self._writer, "digest": digest, "nbytes": nbytes, "until": until}
            for digest, nbytes in wanted.items()
        ]
        with explained(self._database.name), self._database.write() as connection:
            connection.execute(leases.delete().where(leases.c.writer == self._writer))
            if rows:
                connection.execute(leases.insert(), rows)
            needed = sum(live_blobs(connection).values()) if only else 0
            if needed > self._limit_bytes:
                raise StateConflict(
                    f"checkpoints would need {needed:,} bytes, the limit is "
                    f"{self._limit_bytes:,}; nothing was changed; raise the limit, or keep "
                    "smaller or fewer checkpoints",
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
            held = connection.execute(
                sa.select(leases.c.digest, leases.c.nbytes).where(leases.c.writer == self._writer)
            ).all()
            if {lease.digest for lease in held} != needed:
                raise StateConflict(
                    f"the checkpoint of {draft.key!r} took longer than {LEASE_S:g} s and a prune "
                    "has removed its blobs; checkpoint again",
                    key=draft.key,
                )
            manifest = dataclasses.replace(draft, etag=found + 1)
            text = manifest.to_text()
            values = {
                "etag": manifest.etag,
                "manifest": text,
                "digest": digest_of(text.encode()),
            }
            if found:
                connection.execute(grains.update().where(grains.c.key_id == row).values(values))
            else:
                connection.execute(grains.insert().values(key_id=row, **values))
            connection.execute(uses.delete().where(uses.c.key_id == row))
            if held:
                connection.execute(
                    uses.insert(),
                    [{"key_id": row, "digest": one.digest, "nbytes": one.nbytes} for one in held],
                )
            connection.execute(leases.delete().where(leases.c.writer == self._writer))
        return manifest

    def _give_up(self) -> None:
        """End the leases of a save that failed; its own error matters more than ours."""
        from sqlalchemy.exc import SQLAlchemyError

        from gpures_lab.grain.store.database import leases

        try:
            with self._database.write() as connection:
                connection.execute(leases.delete().where(leases.c.writer == self._writer))
        except (SQLAlchemyError, StateConflict):
            return  # they run out by themselves


def _etag(connection: sa.Connection, key: str) -> int:
    """Etag of the key's checkpoint; 0 if there is none."""
    import sqlalchemy as sa

    from gpures_lab.grain.store.database import grains

    query = sa.select(grains.c.etag).where(grains.c.key_id == key_id(key))
    return connection.execute(query).scalar() or 0


def check_etag(key: str, found: int, expected: int) -> None:
    """Raise `StateConflict` unless the key's checkpoint is the expected one."""
    if found != expected:
        raise StateConflict(
            f"the checkpoint of {key!r} has etag {found}, expected {expected}: another writer was "
            "here, or it was not restored; use restore() to continue from it, or "
            "checkpoint(replace=True) to replace it",
            key=key,
            found=found,
            expected=expected,
        )


def live_blobs(connection: sa.Connection) -> dict[str, int]:
    """Bytes of every blob that a checkpoint, or a save under way, needs."""
    import sqlalchemy as sa

    from gpures_lab.grain.store.database import leases, uses

    needed = sa.union(
        sa.select(uses.c.digest, uses.c.nbytes), sa.select(leases.c.digest, leases.c.nbytes)
    )
    return {row.digest: row.nbytes for row in connection.execute(needed)}
