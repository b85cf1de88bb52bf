"""Tables, schema version, migrations, transactions.

Every transaction that writes first takes one row (`_TURN`), so writers stand in a queue on every
database: a prune sees a checkpoint's leases, or the checkpoint sees what the prune removed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from gpures_lab.errors import InvalidOption, StateConflict
from gpures_lab.grain.store.places import private_file

__all__ = ["SCHEMA_VERSION", "Database", "grains", "leases", "manifest_bytes", "uses"]

LOCK_WAIT_S: Final = 30.0
LOCK_SLICE_S: Final = 0.1
"""SQLite's own wait is deaf to Ctrl-C: it waits so long, we wait for the rest."""
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_T = TypeVar("_T")

_metadata: Final = sa.MetaData()
_TURN: Final = sa.Table(
    "gpures_store",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
)
grains: Final = sa.Table(
    "gpures_grains",
    _metadata,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("etag", sa.BigInteger, nullable=False),
    sa.Column("manifest", sa.Text(2**30), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)
"""One row a grain: its manifest."""
uses: Final = sa.Table(
    "gpures_uses",
    _metadata,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("nbytes", sa.BigInteger, nullable=False),
)
"""Which blobs a manifest needs."""
leases: Final = sa.Table(
    "gpures_leases",
    _metadata,
    sa.Column("writer", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("nbytes", sa.BigInteger, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)
"""Blobs that a checkpoint under way will need, and until when they are kept for it."""


def _create(connection: sa.Connection) -> None:
    _metadata.create_all(connection)
    connection.execute(_TURN.insert().values(id=1, version=0, turn=0))


MIGRATIONS: list[Callable[[sa.Connection], None]] = [_create]
"""Step n brings a database from version n to n + 1."""
SCHEMA_VERSION: Final = len(MIGRATIONS)


def url_of(url: str) -> sa.URL:
    """Parse the URL of a database."""
    return sa.make_url(url)


def sqlite_path(url: sa.URL) -> Path | None:
    """Return the file of a SQLite database, None of another, or raise `InvalidOption`."""
    if url.get_backend_name() != "sqlite":
        return None
    path = url.database
    if not path or path == ":memory:" or path.startswith("file:"):
        name = url.render_as_string(hide_password=True)
        raise InvalidOption(
            f"state_url={name!r} names no file; use sqlite:///folder/state.sqlite",
            name="state_url",
            value=name,
        )
    return Path(path)


class Database:
    """A database at the newest schema version; connections last for one transaction."""

    def __init__(self, url: str) -> None:
        parsed = url_of(url)
        self.name = parsed.render_as_string(hide_password=True)
        path = sqlite_path(parsed)
        self._sqlite = path is not None
        if path is not None:
            private_file(path)
        self._engine = sa.create_engine(parsed, poolclass=NullPool)
        if self._sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        self._migrate()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One view of the database, whatever others write meanwhile."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """All of the block or nothing; no other writer runs meanwhile."""
        with self._writing() as connection, connection.begin():
            changed = connection.execute(_TURN.update().values(turn=_TURN.c.turn + 1))
            if changed.rowcount != 1:
                raise StateConflict(
                    f"the database {self.name} was replaced while in use; open it again",
                    place=self.name,
                )
            yield connection

    def nbytes(self) -> int:
        """Bytes that the database takes: of a file, or of the manifests' text on a server."""
        if self._sqlite:
            return sum(path.stat().st_size for path in self._files() if path.exists())
        with self.read() as connection:
            return manifest_bytes(connection)

    def _files(self) -> list[Path]:
        path = self._engine.url.database
        return [Path(f"{path}{suffix}") for suffix in ("", "-wal")]

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _writing(self) -> sa.Connection:
        return self._engine.connect().execution_options(gpures_writes=True)

    def _migrate(self) -> None:
        with self.read() as connection:  # a listing waits for no writer
            version = self._version(connection)
        if version < len(MIGRATIONS):
            with self._writing() as connection, connection.begin():
                version = self._version(connection)  # another process may have been first
                for number, step in enumerate(MIGRATIONS[version:], version + 1):
                    step(connection)
                    connection.execute(_TURN.update().values(version=number))

    def _version(self, connection: sa.Connection) -> int:
        version = 0
        if sa.inspect(connection).has_table(_TURN.name):
            version = connection.execute(sa.select(_TURN.c.version)).scalar_one()
        if version > len(MIGRATIONS):
            raise InvalidOption(
                f"the database {self.name} has schema version {version}; this gpures_lab "
                f"knows versions up to {len(MIGRATIONS)}; upgrade gpures_lab, or set "
                "GPURES_STATE_DIR (or state_url) to another place",
                found=version,
                known=len(MIGRATIONS),
            )
        return version


def manifest_bytes(connection: sa.Connection) -> int:
    """Bytes of the manifests, `grain.state` among them: they are ASCII."""
    found = connection.execute(sa.select(sa.func.sum(sa.func.length(grains.c.manifest))))
    return int(found.scalar() or 0)


def _patiently(run: Callable[[], _T]) -> _T:
    """Return what it returns once no other process has the database locked, or time is up."""
    limit = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return run()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() >= limit:
                raise


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours: Python's comes too late for reads
    # Damaged text is found by its digest and named; an error here would hide all the rest.
    connection.text_factory = lambda text: text.decode(errors="surrogateescape")
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(LOCK_SLICE_S * 1000)}")
    if not _patiently(lambda: cursor.execute("PRAGMA page_count").fetchone()[0]):
        # A new one: a large state that was replaced does not take its room for ever.
        _patiently(lambda: cursor.execute("PRAGMA auto_vacuum = FULL"))
    mode = _patiently(lambda: cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    if mode != "wal":  # then a commit waits too, for readers
        cursor.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT_S * 1000)}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that begins as a reader and then writes fails if another wrote in between.
    writes = connection.get_execution_options().get("gpures_writes", False)
    plain: Any = connection.connection.dbapi_connection

    def begin() -> None:
        plain.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        try:
            if not writes:
                plain.execute("SELECT count(*) FROM sqlite_master")  # from here on the view is ours
        except BaseException:
            plain.execute("ROLLBACK")
            raise

    try:
        _patiently(begin)
    except sqlite3.Error as error:  # SQLAlchemy wraps only what its own calls raise
        raise sa.exc.DBAPIError("BEGIN", None, error) from error
