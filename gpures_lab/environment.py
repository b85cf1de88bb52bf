"""Every ``GPURES_*`` environment variable, read here and nowhere else.

============================  ===============================================================
``GPURES_CACHE_DIR``          compiled kernels; default: the user's cache folder
``GPURES_STATE_DIR``          checkpoints; default: the user's data folder
``GPURES_STATE_LIMIT_BYTES``  the most bytes of all checkpoints; default: 10 GiB
``GPURES_LOG``                level of the logger ``gpures_lab``: debug, info, warning, error
``GPURES_REQUIRE_GPU``        tests only: 1 turns a skip for want of a GPU into a failure
``GPURES_REQUIRE_NODE``       the same for Node
``GPURES_REQUIRE_BROWSER``    the same for Chromium
``GPURES_RING_VARIANT``       how a GPU's ring polls: poller-warp, look-ahead, both with a comma;
                              default: neither. For ``make gpu-check``, which measures them
============================  ===============================================================

Read at each call, so a test or a notebook may change them.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path
from typing import Final

from gpures_lab.errors import InvalidOption

__all__ = [
    "cache_dir",
    "cache_path",
    "log_is_asked_for",
    "log_level",
    "require_browser",
    "require_gpu",
    "require_node",
    "ring_variant",
    "state_dir",
    "state_limit_bytes",
    "state_path",
]

_FOLDER: Final = "gpures_lab"
_STATE_LIMIT_BYTES: Final = 10 * 1024**3
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_RING_VARIANTS: Final = ("look-ahead", "poller-warp")
_FLAGS: Final = {"": False, "0": False, "false": False, "1": True, "true": True}


def cache_path() -> Path:
    """Where compiled kernels are kept; nothing is created."""
    return _place("GPURES_CACHE_DIR", "XDG_CACHE_HOME", ".cache", "Library/Caches")


def cache_dir() -> Path:
    """Return `cache_path`, made if needed, readable by this user alone (0700)."""
    return _private_folder("GPURES_CACHE_DIR", cache_path())


def state_path() -> Path:
    """Where checkpoints are kept; nothing is created."""
    return _place(
        "GPURES_STATE_DIR", "XDG_DATA_HOME", ".local/share", "Library/Application Support"
    )


def state_dir() -> Path:
    """Return `state_path`, made if needed, readable by this user alone (0700)."""
    return _private_folder("GPURES_STATE_DIR", state_path())


def state_limit_bytes() -> int:
    """Return the most bytes that all checkpoints may take."""
    text = os.environ.get("GPURES_STATE_LIMIT_BYTES", "").strip()
    if not text:
        return _STATE_LIMIT_BYTES
    if not text.isdecimal() or int(text) < 1:
        raise InvalidOption(
            f"GPURES_STATE_LIMIT_BYTES={text!r} is no number of bytes; set it to 1 or more, "
            f"such as {_STATE_LIMIT_BYTES}",
            name="GPURES_STATE_LIMIT_BYTES",
            value=text,
        )
    return int(text)


def log_is_asked_for() -> bool:
    """Whether ``GPURES_LOG`` says anything."""
    return bool(os.environ.get("GPURES_LOG", "").strip())


def log_level() -> int:
    """Level for the logger ``gpures_lab``; warning unless ``GPURES_LOG`` says otherwise."""
    text = os.environ.get("GPURES_LOG", "").strip().lower()
    if not text:
        return logging.WARNING
    if text not in _LEVELS:
        raise InvalidOption(
            f"GPURES_LOG={text!r} is no log level; set it to one of {', '.join(_LEVELS)}",
            name="GPURES_LOG",
            value=text,
        )
    return _LEVELS[text]


def require_gpu() -> bool:
    """Whether a GPU test that cannot run is a failure."""
    return _flag("GPURES_REQUIRE_GPU")


def require_node() -> bool:
    """Whether a Node test that cannot run is a failure."""
    return _flag("GPURES_REQUIRE_NODE")


def require_browser() -> bool:
    """Whether a browser test that cannot run is a failure."""
    return _flag("GPURES_REQUIRE_BROWSER")


def ring_variant() -> tuple[str, ...]:
    """Names of what is to be different from the ring kernel as it is shipped, sorted."""
    text = os.environ.get("GPURES_RING_VARIANT", "").strip().lower()
    names = sorted({each.strip() for each in text.split(",") if each.strip()})
    for name in names:
        if name not in _RING_VARIANTS:
            raise InvalidOption(
                f"GPURES_RING_VARIANT={text!r}: {name} is none of {', '.join(_RING_VARIANTS)}",
                name="GPURES_RING_VARIANT",
                value=text,
            )
    return tuple(names)


def _flag(name: str) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text not in _FLAGS:
        raise InvalidOption(
            f"{name}={text!r} is no switch; set it to 1 or 0", name=name, value=text
        )
    return _FLAGS[text]


def _place(variable: str, xdg: str, below_home: str, on_macos: str) -> Path:
    if chosen := os.environ.get(variable):
        path = Path(chosen).expanduser()
        if not path.is_absolute():
            # Relative to what? Kernels and notebooks change folders; the same name would mean two.
            raise InvalidOption(
                f"{variable}={chosen!r} is a relative path; give an absolute one",
                name=variable,
                value=chosen,
            )
        return path
    if sys.platform == "darwin":
        return Path.home() / on_macos / _FOLDER
    base = os.environ.get(xdg, "")
    # The XDG rules say that a relative value is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / below_home
    return root / _FOLDER


def _private_folder(variable: str, path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise InvalidOption(
            f"cannot use the folder {path}: {error.strerror}; set {variable} to a folder that "
            "this user can write",
            name=variable,
            value=str(path),
        ) from error
    if mode & stat.S_IWOTH:
        # Machine code is loaded from here: whoever can write it runs code as this user.
        raise InvalidOption(
            f"the folder {path} has mode {mode:04o}, so everybody can write it; "
            f"run chmod 700 on it, or set {variable} to another",
            name=variable,
            value=str(path),
            mode=mode,
        )
    return path
