"""Blobs that nobody needs: of a checkpoint that was replaced or removed, of a save that failed.

A file is removed inside a transaction that has found it in no checkpoint and under no lease. A save
leases what it needs first, in a transaction of its own, and looks for files afterwards: so either
the lease is seen here, or the save sees that the file is gone and writes it again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from gpures_lab.errors import GpuResError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from gpures_lab.grain.store.blobs import BlobStore
    from gpures_lab.grain.store.database import Database

__all__ = ["forget_blobs", "live_blobs", "remove_dead"]

logger = logging.getLogger("gpures_lab")


def forget_blobs(database: Database, blobs: BlobStore, digests: Iterable[str]) -> None:
    """Remove those of the blobs that nobody needs; what fails here a prune does."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        remove_dead(database, blobs, [(blobs.path(each), each, 0) for each in digests])
    except (SQLAlchemyError, OSError, GpuResError) as error:
        # The checkpoint is kept, or has failed for a reason of its own.
        logger.warning("blobs that no checkpoint needs stay in %s: %s", blobs.url, error)


def remove_dead(
    database: Database, blobs: BlobStore, files: list[tuple[str, str, int]]
) -> list[int]:
    """Remove files (path, digest, bytes) that nobody needs; the bytes of each that was."""
    from gpures_lab.grain.store.database import leases

    if not files:
        return []
    with database.write() as connection:
        connection.execute(leases.delete().where(leases.c.until < time.time()))
        live = live_blobs(connection)
        dead = [(path, size) for path, digest, size in files if digest not in live]
        blobs.remove(path for path, _ in dead)
    return [size for _, size in dead]


def live_blobs(connection: sa.Connection) -> dict[str, int]:
    """Bytes of every blob that a checkpoint, or a save under way, needs."""
    import sqlalchemy as sa

    from gpures_lab.grain.store.database import leases, uses

    needed = sa.union(
        sa.select(uses.c.digest, uses.c.nbytes), sa.select(leases.c.digest, leases.c.nbytes)
    )
    live: dict[str, int] = {}
    for row in connection.execute(needed):
        live[row.digest] = max(row.nbytes, live.get(row.digest, 0))
    return live
