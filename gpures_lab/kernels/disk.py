"""The disk cache: compiled kernels that outlive the process.

An entry is two files: the payload, and a JSON header with its key and digest, written last. Both
are written beside their name and renamed, so that a reader sees a whole entry or none. Nothing is
used whose digest, key or format does not match, or that another user could have written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from gpures_lab import environment
from gpures_lab.errors import InvalidOption
from gpures_lab.kernels.artifact import Artifact

__all__ = ["FORMAT", "DiskCache", "open_disk_cache"]

FORMAT = 1
LIMIT_BYTES = 1 << 30
_STALE_S = 3600.0
_log = logging.getLogger("gpures_lab")


def open_disk_cache() -> DiskCache | None:
    """The cache in `environment.cache_dir`; None, with a warning, where it cannot be used."""
    try:
        return DiskCache(environment.cache_dir())
    except InvalidOption as reason:
        _log.warning("compiled kernels are not kept on disk: %s", reason)
        return None


class DiskCache:
    """Entries of one folder, least recently used first to go."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder / "kernels"
        self.limit_bytes = limit_bytes
        self._told = False

    def read(self, key: str) -> tuple[Artifact, Path] | None:
        """The entry of ``key`` and the path of its payload; None if there is no sound one."""
        if not self._is_private():
            return None
        header_path = self.folder / f"{key}.json"
        try:
            header = json.loads(header_path.read_text())
            if header["format"] != FORMAT or header["key"] != key:
                return None
            payload_path = self.folder / f"{key}{_known_suffix(header['suffix'])}"
            payload = payload_path.read_bytes()
            if hashlib.sha256(payload).hexdigest() != header["digest"]:
                _log.info("cached kernel %s is damaged; it is compiled again", key[:12])
                return None
            artifact = Artifact(header["suffix"], payload, dict(header["meta"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(header_path)  # last use, by which entries are dropped
        return artifact, payload_path

    def write(self, key: str, artifact: Artifact) -> Path | None:
        """Keep ``artifact``; returns its payload's path, or None where nothing can be kept."""
        header: dict[str, Any] = {
            "format": FORMAT,
            "key": key,
            "suffix": artifact.suffix,
            "digest": hashlib.sha256(artifact.payload).hexdigest(),
            "meta": artifact.meta,
        }
        payload_path = self.folder / f"{key}{artifact.suffix}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_private():
                return None
            self._replace(payload_path, artifact.payload)
            self._replace(self.folder / f"{key}.json", json.dumps(header).encode())
            self._shrink(keep=key)
        except OSError as reason:
            self._tell(f"compiled kernels are not kept on disk: {reason}")
            return None
        return payload_path

    def _replace(self, path: Path, data: bytes) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise

    def _shrink(self, keep: str) -> None:
        """Drop what was used longest ago until the folder is within its limit."""
        sizes: dict[str, int] = {}
        used: dict[str, float] = {}
        with os.scandir(self.folder) as found:
            for file in found:
                with contextlib.suppress(OSError):
                    key, _, suffix = file.name.partition(".")
                    status = file.stat()
                    sizes[key] = sizes.get(key, 0) + status.st_size
                    if suffix == "json":
                        used[key] = status.st_mtime
        entries = [(used[key], sizes[key], key) for key in used]
        total = sum(size for _, size, _ in entries)
        self._sweep()
        for _, size, key in sorted(entries):
            if total <= self.limit_bytes:
                break
            if key == keep:
                continue
            for path in [self.folder / f"{key}.json", *self.folder.glob(f"{key}.*")]:
                with contextlib.suppress(OSError):
                    path.unlink()
            total -= size

    def _sweep(self) -> None:
        """Files that a killed process left half-written."""
        for path in self.folder.glob(".new-*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()

    def _is_private(self) -> bool:
        """Whether only this user can have written here: entries are machine code."""
        try:
            found = self.folder.stat()
        except OSError:
            return False
        foreign = hasattr(os, "getuid") and found.st_uid != os.getuid()
        if foreign or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            self._tell(
                f"the kernel cache {self.folder} can be written by other users and is not used; "
                "make it yours alone (chmod 700) or set GPURES_CACHE_DIR"
            )
            return False
        return True

    def _tell(self, message: str) -> None:
        if not self._told:
            self._told = True
            _log.warning(message)


def _known_suffix(suffix: str) -> str:
    if suffix not in (".o", ".so", ".ltoir", ".cubin"):
        raise ValueError(suffix)
    return suffix
