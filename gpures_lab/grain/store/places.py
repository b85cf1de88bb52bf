"""Where checkpoints lie unless a URL says otherwise, and files for this user alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gpures_lab import environment

__all__ = [
    "blobs_path",
    "database_path",
    "default_blobs_url",
    "default_state_url",
    "is_there",
    "private_file",
    "private_folder",
    "sync",
]

_DATABASE: Final = "state.sqlite"
_BLOBS: Final = "blobs"


def database_path() -> Path:
    """Where the database lies unless a URL says otherwise; nothing is created."""
    return environment.state_path() / _DATABASE


def blobs_path() -> Path:
    """Where the blobs lie unless a URL says otherwise; nothing is created."""
    return environment.state_path() / _BLOBS


def is_there(state_url: str | None) -> bool:
    """Whether the database may be there: False only of a file that was not made yet."""
    path = database_path() if state_url is None else _file_of(state_url)
    return path is None or path.exists() or any(each.is_file() for each in path.parents)


def _file_of(state_url: str) -> Path | None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(state_url)
    except ArgumentError:
        return None  # what is wrong is said by who opens it
    local = url.get_backend_name() == "sqlite" and url.database
    return Path(url.database) if local and url.database else None


def default_state_url() -> str:
    """SQLAlchemy URL of the database in the state folder, which is made if needed."""
    from sqlalchemy import URL

    path = environment.state_dir() / _DATABASE
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def default_blobs_url() -> str:
    """Folder of the blobs in the state folder, which is made if needed."""
    return str(environment.state_dir() / _BLOBS)


def private_folder(path: Path) -> None:
    """Make the folder and what is missing above it, readable by this user alone."""
    if path.is_dir():
        return
    private_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync(path.parent)


def private_file(path: Path) -> None:
    """Make an empty file, readable by this user alone, unless it is there."""
    private_folder(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
