"""The BokehJS of the Bokeh that is installed beside the server, if one is."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

__all__ = ["bokeh_version", "bokehjs_text", "bokehjs_zipped"]


def bokeh_version() -> str | None:
    """Return the version of the installed Bokeh; it is not imported."""
    try:
        return version("bokeh") if _file() is not None else None
    except PackageNotFoundError:
        return None


@cache
def bokehjs_text() -> bytes:
    """Return the script. About a megabyte, kept: a page asks for it again after a restart."""
    path = _file()
    return b"" if path is None else path.read_bytes()


@cache
def bokehjs_zipped() -> bytes:
    """Return the script, gzipped once."""
    return gzip.compress(bokehjs_text(), 6, mtime=0)


def _file() -> Path | None:
    # Importing Bokeh takes a second that the server does not have to spend.
    found = find_spec("bokeh")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "server" / "static" / "js" / "bokeh.min.js"
    return path if path.is_file() else None
