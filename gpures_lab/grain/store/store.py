"""`StateStore`: save, load, list, remove and prune checkpoints."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gpures_lab import environment
from gpures_lab.errors import CheckpointCorrupt, GpuResError, InvalidOption, StateConflict
from gpures_lab.grain.store.blobs import BlobStore, encode
from gpures_lab.grain.store.failures import explained
from gpures_lab.grain.store.leftovers import forget_blobs, live_blobs, remove_dead
from gpures_lab.grain.store.listing import Listing
from gpures_lab.grain.store.manifest import (
    ArrayRecord,
    Json,
    Manifest,
    check_json,
    check_key,
    check_names,
    key_id,
)
from gpures_lab.grain.store.pace import FULL_SPEED, Pace
from gpures_lab.grain.store.places import default_blobs_url, default_state_url
from gpures_lab.grain.store.saving import Save, check_etag, last_etag, uses_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpures_lab.grain.store.blobs import Loaded
    from gpures_lab.grain.store.database import Database

__all__ = ["Pruned", "StateStore", "Usage"]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `StateStore.prune` removed."""

    blobs: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store holds.

    Attributes
    ----------
    blobs, nbytes
        Files, and their bytes.
    free_nbytes
        How many of these bytes no checkpoint needs.
    database_nbytes
        Bytes of the database: manifests, and `grain.state`.
    limit_bytes
        The most that all of it may take.
    database, place
        Where it lies.
    """

    blobs: int
    nbytes: int
    free_nbytes: int
    database_nbytes: int
    limit_bytes: int
    database: str
    place: str


class StateStore:
    """Checkpoints of grains.

    Parameters
    ----------
    state_url
        SQLAlchemy URL; ``None`` is a SQLite file in the state folder.
    blobs_url
        fsspec URL; ``None`` is a folder in the state folder. One folder belongs to one database.
    limit_bytes
        The most bytes that all checkpoints may take; ``None`` is `environment.state_limit_bytes`.
    """

    def __init__(
        self,
        state_url: str | None = None,
        blobs_url: str | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        if limit_bytes is None:
            limit_bytes = environment.state_limit_bytes()
        if limit_bytes < 1:
            raise InvalidOption(f"limit_bytes={limit_bytes} is out of range; give 1 or more")
        from gpures_lab.grain.store.database import Database

        state = state_url or default_state_url()
        blobs = blobs_url or default_blobs_url()
        self._limit_bytes = limit_bytes
        self._swept = False
        self._replaced: list[set[str]] = []
        with explained("the state store"):
            self._database: Database = Database(state)
        self._place = self._database.name
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
        tidy: bool = True,
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
        tidy
            False leaves what the checkpoint before alone needed to a later `tidy`.

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
        if not self._swept:  # what killed processes left behind counts on no limit
            self._swept = True
            self._sweep()
        check_json("state", state)
        check_names("kernels", tuple(kernels))
        check_names("arrays", arrays)
        check_json("programs", dict(programs or {}))
        with Save(self._database, self._blobs, self._limit_bytes, pace) as saving:
            if expected_etag is not None:  # before any blob is written; the commit looks again
                saving.check_etag(key, expected_etag)
            digests = saving.write({name: encode(name, arrays[name]) for name in arrays})
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
            manifest = saving.commit(
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
        self._replaced.append(saving.replaced)
        if tidy:
            self.tidy()
        return manifest

    def tidy(self) -> None:
        """Remove what replaced checkpoints alone needed: 100 MiB take a fourth of their save."""
        while self._replaced:
            with suppress(IndexError):  # another thread was first
                forget_blobs(self._database, self._blobs, self._replaced.pop())

    def latest(self, key: str) -> Manifest | None:
        """Return the manifest of the key's checkpoint; ``None`` if it has none."""
        from gpures_lab.grain.store.database import grains

        query = grains.select().where(grains.c.key_id == key_id(check_key(key)))
        with explained(self._place), self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or not row.manifest:  # removed: only its etag is left
            return None
        return Manifest.from_text(row.manifest, row.digest)

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
                check_etag(key, manifest.etag, etag)
            missing, loaded = self._read(manifest, {})
            if missing is None:
                return manifest, loaded
            now = self.latest(key)
            if now is not None and now.etag == manifest.etag:
                raise self._gone(manifest, missing)
            # Replaced and pruned under our hands: read the newer one.

    def load_kept(
        self, manifest: Manifest, elsewhere: Mapping[str, Path]
    ) -> dict[str, NDArray[Any]]:
        """Return the contents of a checkpoint that the caller knows, whoever has replaced it.

        Parameters
        ----------
        elsewhere
            By digest, files with the same bytes that no prune removes.

        Raises
        ------
        StateConflict
            It was replaced, and a prune has removed what it held.
        CheckpointCorrupt
            A blob is missing or does not match its digest.
        """
        missing, loaded = self._read(manifest, elsewhere)
        if missing is None:
            return {name: each.verified() for name, each in loaded.items()}
        key, now = manifest.key, self.latest(manifest.key)
        if now is None:
            raise StateConflict(
                f"checkpoint {manifest.etag} of {key!r}, as which the grain was deactivated, was "
                "removed; grain.discard() begins anew",
                key=key,
                expected=manifest.etag,
            )
        if now.etag == manifest.etag:
            raise self._gone(manifest, missing)
        raise StateConflict(
            f"checkpoint {manifest.etag} of {key!r}, as which the grain was deactivated, was "
            f"replaced by {now.etag} of another writer, and a prune has removed its contents; "
            f"grain.discard(), then lab.restore({key!r}), continues from {now.etag}",
            key=key,
            found=now.etag,
            expected=manifest.etag,
        )

    def blob_file(self, digest: str) -> Path | None:
        """Return the local file of a blob; None if blobs lie elsewhere."""
        return Path(self._blobs.path(digest)) if self._blobs.local else None

    def list(self) -> Listing:
        """Return all checkpoints, by key, the damaged ones apart."""
        from gpures_lab.grain.store.database import grains

        with explained(self._place), self._database.read() as connection:
            rows = connection.execute(grains.select().where(grains.c.manifest != "")).all()
        return Listing.of(rows)

    def usage(self) -> Usage:
        """Return what the store holds and what a prune would free."""
        with explained(self._place), self._database.read() as connection:
            live = live_blobs(connection)
            database_nbytes = self._database.nbytes()
        with explained(self._blobs.url):
            stored = self._blobs.stored()
        return Usage(
            blobs=len(stored),
            nbytes=sum(size for _, _, size in stored),
            free_nbytes=sum(size for _, digest, size in stored if digest not in live),
            database_nbytes=database_nbytes,
            limit_bytes=self._limit_bytes,
            database=self._place,
            place=self._blobs.url,
        )

    def remove(self, key: str) -> int:
        """Remove the key's checkpoint, and return its etag; the next one gets a higher one.

        Raises
        ------
        StateConflict
            The key has no checkpoint.
        """
        from gpures_lab.grain.store.database import grains, uses

        row = key_id(check_key(key))
        with explained(self._place), self._database.write() as connection:
            etag = last_etag(connection, key, there=True)
            if not etag:
                raise StateConflict(f"{key!r} has no checkpoint; nothing was removed", key=key)
            before = uses_of(connection, key)
            connection.execute(uses.delete().where(uses.c.key_id == row))
            # The row stays: who still goes by this etag must not take a later one for it.
            connection.execute(
                grains.update().where(grains.c.key_id == row).values(manifest="", digest="")
            )
        forget_blobs(self._database, self._blobs, before)
        return etag

    def prune(self) -> Pruned:
        """Remove every blob that no checkpoint needs: what killed processes left behind."""
        # Listed before: what comes later is somebody's.
        with explained(self._blobs.url):
            stored = self._blobs.stored()
        with explained(self._place):
            dead = remove_dead(self._database, self._blobs, stored)
        return Pruned(blobs=len(dead), nbytes=sum(dead))

    def _sweep(self) -> None:
        with suppress(GpuResError):  # the save that comes says it better
            self.prune()

    def _gone(self, manifest: Manifest, missing: ArrayRecord) -> CheckpointCorrupt:
        return CheckpointCorrupt(
            f"the blob of {missing.name!r} in checkpoint {manifest.etag} of {manifest.key!r} is "
            f"missing, expected digest {missing.digest}, found no file "
            f"{self._blobs.path(missing.digest)}; restore it from a backup, or "
            "checkpoint the grain again with replace=True",
            name=missing.name,
            expected=missing.digest,
            found=None,
        )

    def _read(
        self, manifest: Manifest, elsewhere: Mapping[str, Path]
    ) -> tuple[ArrayRecord | None, dict[str, Loaded]]:
        """Return the arrays, or the first record whose blob is not there."""
        loaded = {}
        for record in manifest.arrays:
            with explained(self._blobs.url):
                found = self._blobs.load(record, elsewhere.get(record.digest))
            if found is None:
                return record, {}
            loaded[record.name] = found
        return None, loaded
