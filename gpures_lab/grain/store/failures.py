"""What went wrong below, as one of our exceptions with a cure."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gpures_lab.errors import CheckpointCorrupt, GpuResError, InvalidOption, StateConflict

__all__ = ["explained"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def explained(place: str, what: str = "the checkpoint") -> Iterator[None]:
    """Turn failures of files and databases under ``place`` into errors that say the cure.

    ``what`` was to be written there.
    """
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except GpuResError:
        raise
    except OSError as error:
        raise _of_files(error, place, what) from error
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InvalidOption(
            f"{place} cannot be opened: {error}; correct the URL or install what it needs",
            place=place,
        ) from error
    except SQLAlchemyError as error:
        raise _of_database(error, place) from error


def _of_files(error: OSError, place: str, what: str) -> GpuResError:
    if error.errno in _FULL:
        return _full(place, error.strerror or str(error), what)
    return InvalidOption(
        f"cannot read or write {error.filename or place}: {error.strerror or error}; make it "
        "writable by this user, or set GPURES_STATE_DIR (or state_url and blobs_url) to another "
        "place",
        place=place,
    )


def _of_database(error: Exception, place: str) -> GpuResError:
    text = str(getattr(error, "orig", None) or error)
    lower = text.lower()
    if "locked" in lower or "busy" in lower or "timeout" in lower:
        return StateConflict(
            f"the database {place} stayed locked by another process: {text}; "
            "nothing was changed; try again, or end the other process",
            place=place,
        )
    if "full" in lower:
        return _full(place, text)
    if "malformed" in lower or "not a database" in lower:
        return CheckpointCorrupt(
            f"{place} is no intact database: {text}; restore it from a backup, or move it away "
            "to begin anew",
            place=place,
        )
    return InvalidOption(
        f"the database {place} cannot be used: {text}; make its folder writable by this user, "
        "or set GPURES_STATE_DIR (or state_url) to another place",
        place=place,
    )


def _full(place: str, text: str, what: str = "the checkpoint") -> StateConflict:
    return StateConflict(
        f"no room for {what} in {place}: {text}; the last checkpoint is untouched, and nothing is "
        "lost; free space on that disk (gpures-lab storage lists the checkpoints, --remove KEY "
        "removes one), or set GPURES_STATE_DIR to another disk",
        place=place,
    )
