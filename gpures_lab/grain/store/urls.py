"""What can be said of the two URLs before anything is opened."""

from __future__ import annotations

from gpures_lab.errors import InvalidOption
from gpures_lab.grain.store.failures import explained

__all__ = ["check_urls"]


def check_urls(state_url: str | None, blobs_url: str | None) -> None:
    """Raise `InvalidOption` for a URL by which nothing can be opened; imports what it needs."""
    if state_url is not None:
        from gpures_lab.grain.store.database import sqlite_path, url_of

        with explained(f"state_url={_shown(state_url)!r}"):
            url = url_of(state_url)
            url.get_dialect().import_dbapi()
        sqlite_path(url)
    if blobs_url is not None:
        from fsspec.registry import get_filesystem_class

        for part in blobs_url.split("::"):  # such as simplecache::s3://bucket
            protocol, found, _ = part.partition("://")
            if not found and "::" not in blobs_url:
                continue  # a folder
            try:
                get_filesystem_class(protocol)
            except (ValueError, ImportError) as error:
                raise InvalidOption(
                    f"blobs_url={_shown(blobs_url)!r} cannot be opened: {error}; give a folder or "
                    "a URL that fsspec knows, such as s3://bucket/folder, and install what it "
                    "needs",
                    blobs_url=_shown(blobs_url),
                ) from error


def _shown(url: str) -> str:
    """Return the URL without a password."""
    before, at, after = url.rpartition("@")
    scheme, found, _ = before.partition("://")
    return f"{scheme}://…@{after}" if at and found else url
