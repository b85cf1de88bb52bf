"""`StateStore`: save, load, list and prune checkpoints.

A save leases its blobs, writes them, then moves the manifest from etag n to n + 1 in one
transaction that also ends the leases. Killed at any point it leaves n or n + 1.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from gpures_lab.errors import CheckpointCorrupt, InvalidOption, StateConflict
from gpures_lab.grain.store.blobs import BlobStore, encode
from gpures_lab.grain.store.failures import explained
from gpures_lab.grain.store.manifest import (
    ArrayRecord,
    Json,
    Manifest,
    check_json,
    check_key,
    check_names,
    digest_of,
    key_id,
)
from gpures_lab.grain.store.pace import FULL_SPEED, Pace
from gpures_lab.grain.store.places import (
    DEFAULT_LIMIT_BYTES,
    default_blobs_url,
    default_state_url,
)

if TYPE_CHECKING:
    import sqlalchemy as sa
    from numpy.typing import NDArray

    from gpures_lab.grain.store.blobs import Blob, Loaded
    from gpures_lab.grain.store.database import Database

__all__ = ["Pruned", "StateStore", "Usage"]

LARGE_BYTES: Final = 1 << 20
"""From here on a blob is written while it is hashed, even if the store turns out to have it."""
LEASE_S: Final = 3600.0
"""How long a save may take; for so long a prune keeps what a killed save had written."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `StateStore.prune` removed."""

    blobs: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store holds: files, their bytes, how many of them no checkpoint needs, the limit."""

    blobs: int
    nbytes: int
    free_nbytes: int
    limit_bytes: int


class StateStore:
    """Checkpoints of grains.

    Parameters
    ----------
    state_url
        SQLAlchemy URL; ``None`` is a SQLite file in the state folder.
    blobs_url
        fsspec URL; ``None`` is a folder in the state folder. One folder belongs to one database.
    limit_bytes
        The most bytes that the blobs of all checkpoints may take.
    """

    def __init__(
        self,
        state_url: str | None = None,
        blobs_url: str | None = None,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        if limit_bytes < 1:
            raise InvalidOption(f"limit_bytes={limit_bytes} is out of range; give 1 or more")
        from gpures_lab.grain.store.database import Database

        state = state_url or default_state_url()
        blobs = blobs_url or default_blobs_url()
        self._limit_bytes = limit_bytes
        with explained("the state store"):
            self._database: Database = Database(state)
        self._place = self._database.name
        self._blobs_place = blobs
        with explained(blobs):
            self._blobs = BlobStore(blobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database; may be called again."""
        self._database.close()

    def save(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        state: Json = None,
        kernels: Sequence[str] = (),
        programs: Mapping[str, Json] | None = None,
        *,
        expected_etag: int | None,
        memory_types: Mapping[str, str] | None = None,
        dtype: str = "float32",
        pace: Pace = FULL_SPEED,
    ) -> Manifest:
        """Keep a checkpoint; on return it survives a power cut.

        Parameters
        ----------
        arrays
            Contents by name, any dtype a grain holds. They must not change meanwhile.
        state, kernels, programs
            As `Manifest` has them.
        expected_etag
            Etag of the checkpoint that this one follows; 0 if there is none; ``None`` replaces
            whatever is there.
        memory_types
            By name; ``"device"`` where nothing is said.
        dtype
            Default of the grain's `allocate`.
        pace
            How fast to go.

        Raises
        ------
        StateConflict
            The key's etag is not the expected one, another process keeps the database locked,
            or there is no room. The last checkpoint is untouched, in these and in all cases.
        InvalidOption
            The key is too long, the state is not JSON-like, or the place cannot be written.
        DtypeMismatch
            A dtype that no checkpoint keeps, or another machine's byte order.
        """
        check_key(key)
        check_json("state", state)
        check_names("kernels", tuple(kernels))
        check_names("arrays", arrays)
        check_json("programs", dict(programs or {}))
        if expected_etag is not None:
            # Before any blob is written; the transaction looks again.
            with explained(self._place), self._database.read() as connection:
                _check_etag(key, _etag(connection, key), expected_etag)
        writer = secrets.token_hex(16)
        try:
            digests = self._write(
                writer, {name: encode(name, arrays[name]) for name in arrays}, pace
            )
            records = [
                ArrayRecord(
                    name,
                    array.dtype.name,
                    array.shape,
                    (memory_types or {}).get(name, "device"),
                    digests[name],
                    array.nbytes,
                )
                for name, array in arrays.items()
            ]
            with explained(self._place):
                return self._commit(
                    writer,
                    Manifest(
                        key=key,
                        etag=0,
                        saved_at=time.time(),
                        arrays=tuple(records),
                        state=state,
                        kernels=tuple(kernels),
                        programs=dict(programs or {}),
                        dtype=dtype,
                    ),
                    expected_etag,
                )
        except BaseException:
            self._give_up(writer)
            raise

    def latest(self, key: str) -> Manifest | None:
        """Return the manifest of the key's checkpoint; ``None`` if it has none."""
        from gpures_lab.grain.store.database import grains

        query = grains.select().where(grains.c.key_id == key_id(check_key(key)))
        with explained(self._place), self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Manifest.from_text(row.manifest, row.digest)

    def load(self, key: str, etag: int | None = None) -> tuple[Manifest, dict[str, NDArray[Any]]]:
        """Return a checkpoint, every digest verified; the arrays are the caller's to change.

        Raises
        ------
        StateConflict, CheckpointCorrupt
            As `begin_load`.
        """
        manifest, loaded = self.begin_load(key, etag)
        return manifest, {name: each.verified() for name, each in loaded.items()}

    def begin_load(self, key: str, etag: int | None = None) -> tuple[Manifest, dict[str, Loaded]]:
        """Return a checkpoint whose digests are still computed: `Loaded.verified` waits for one.

        Raises
        ------
        StateConflict
            The key has no checkpoint, or not the one with this etag.
        CheckpointCorrupt
            A blob is missing or does not match its digest, or the manifest does not.
        """
        while True:
            manifest = self.latest(key)
            if manifest is None:
                raise StateConflict(f"{key!r} has no checkpoint; checkpoint it first", key=key)
            if etag is not None:
                _check_etag(key, manifest.etag, etag)
            missing, loaded = self._read(manifest)
            if missing is None:
                return manifest, loaded
            now = self.latest(key)
            if now is not None and now.etag == manifest.etag:
                raise CheckpointCorrupt(
                    f"the blob of {missing.name!r} in checkpoint {manifest.etag} of {key!r} is "
                    f"missing, expected digest {missing.digest}, found no file "
                    f"{self._blobs.path(missing.digest)}; restore it from a backup, or "
                    "checkpoint the grain again with replace=True",
                    name=missing.name,
                    expected=missing.digest,
                    found=None,
                )
            # Replaced and pruned under our hands: read the newer one.

    def list(self) -> list[Manifest]:
        """Return the manifests of all checkpoints, by key."""
        from gpures_lab.grain.store.database import grains

        with explained(self._place), self._database.read() as connection:
            rows = connection.execute(grains.select()).all()
        found = [Manifest.from_text(row.manifest, row.digest) for row in rows]
        return sorted(found, key=lambda manifest: manifest.key)

    def usage(self) -> Usage:
        """Return what the store holds and what a prune would free."""
        with explained(self._place), self._database.read() as connection:
            live = _live(connection)
            stored = self._blobs.stored()
        return Usage(
            blobs=len(stored),
            nbytes=sum(size for _, _, size in stored),
            free_nbytes=sum(size for _, digest, size in stored if digest not in live),
            limit_bytes=self._limit_bytes,
        )

    def prune(self) -> Pruned:
        """Remove every blob that no checkpoint needs; no checkpoint can begin meanwhile."""
        from gpures_lab.grain.store.database import leases

        # Files are removed inside the transaction: a lease taken later finds them gone.
        with explained(self._place), self._database.write() as connection:
            connection.execute(leases.delete().where(leases.c.until < time.time()))
            live = _live(connection)
            dead = [
                (path, size) for path, digest, size in self._blobs.stored() if digest not in live
            ]
            self._blobs.remove(path for path, _ in dead)
        return Pruned(blobs=len(dead), nbytes=sum(size for _, size in dead))

    def _write(self, writer: str, blobs: Mapping[str, Blob], pace: Pace) -> dict[str, str]:
        """Write blobs under leases; their digests by name. Large ones are hashed meanwhile."""
        coming = {
            name: secrets.token_hex(32)  # a lease until the digest is known
            for name, blob in blobs.items()
            if self._blobs.local and blob.nbytes >= LARGE_BYTES
        }
        try:
            if coming:
                self._lease(writer, {coming[name]: blobs[name].nbytes for name in coming})
            digests = {}
            for name, blob in blobs.items():
                with explained(self._blobs_place):
                    digests[name] = (
                        self._blobs.bring(coming[name], blob, pace)
                        if name in coming
                        else blob.digest()
                    )
            needed = {digests[name]: blob.nbytes for name, blob in blobs.items()}
            self._lease(writer, needed, only=True)
            with explained(self._blobs_place):
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

    def _lease(self, writer: str, wanted: Mapping[str, int], *, only: bool = False) -> None:
        """Lease digests; ``only`` these from here on, and then within the limit."""
        from gpures_lab.grain.store.database import leases

        until = time.time() + LEASE_S
        rows = [
            {"writer": writer, "digest": digest, "nbytes": nbytes, "until": until}
            for digest, nbytes in wanted.items()
        ]
        with explained(self._place), self._database.write() as connection:
            connection.execute(leases.delete().where(leases.c.writer == writer))
            if rows:
                connection.execute(leases.insert(), rows)
            needed = sum(_live(connection).values()) if only else 0
            if needed > self._limit_bytes:
                raise StateConflict(
                    f"checkpoints would need {needed:,} bytes, the limit is "
                    f"{self._limit_bytes:,}; nothing was changed; raise the limit, or keep "
                    "smaller or fewer checkpoints",
                    needed=needed,
                    limit=self._limit_bytes,
                )

    def _commit(self, writer: str, draft: Manifest, expected: int | None) -> Manifest:
        import dataclasses

        import sqlalchemy as sa

        from gpures_lab.grain.store.database import grains, leases, uses

        row = key_id(draft.key)
        needed = {record.digest for record in draft.arrays}
        with self._database.write() as connection:
            found = _etag(connection, draft.key)
            if expected is not None:
                _check_etag(draft.key, found, expected)
            held = connection.execute(
                sa.select(leases.c.digest, leases.c.nbytes).where(leases.c.writer == writer)
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
            connection.execute(leases.delete().where(leases.c.writer == writer))
        return manifest

    def _give_up(self, writer: str) -> None:
        """End the leases of a save that failed; its own error matters more than ours."""
        from sqlalchemy.exc import SQLAlchemyError

        from gpures_lab.grain.store.database import leases

        try:
            with self._database.write() as connection:
                connection.execute(leases.delete().where(leases.c.writer == writer))
        except (SQLAlchemyError, StateConflict):
            return  # they run out by themselves

    def _read(self, manifest: Manifest) -> tuple[ArrayRecord | None, dict[str, Loaded]]:
        """Return the arrays, or the first record whose blob is not there."""
        loaded = {}
        for record in manifest.arrays:
            with explained(self._blobs_place):
                found = self._blobs.load(record)
            if found is None:
                return record, {}
            loaded[record.name] = found
        return None, loaded


def _etag(connection: sa.Connection, key: str) -> int:
    """Etag of the key's checkpoint; 0 if there is none."""
    import sqlalchemy as sa

    from gpures_lab.grain.store.database import grains

    query = sa.select(grains.c.etag).where(grains.c.key_id == key_id(key))
    return connection.execute(query).scalar() or 0


def _check_etag(key: str, found: int, expected: int) -> None:
    if found != expected:
        raise StateConflict(
            f"the checkpoint of {key!r} has etag {found}, expected {expected}: another writer was "
            "here, or it was not restored; use restore() to continue from it, or "
            "checkpoint(replace=True) to replace it",
            key=key,
            found=found,
            expected=expected,
        )


def _live(connection: sa.Connection) -> dict[str, int]:
    """Bytes of every blob that a checkpoint, or a save under way, needs."""
    import sqlalchemy as sa

    from gpures_lab.grain.store.database import leases, uses

    needed = sa.union(
        sa.select(uses.c.digest, uses.c.nbytes), sa.select(leases.c.digest, leases.c.nbytes)
    )
    return {row.digest: row.nbytes for row in connection.execute(needed)}
