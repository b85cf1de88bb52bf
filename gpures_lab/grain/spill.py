"""Where the memory of deactivated grains waits: a folder that ends with the process.

Durable ones wait in the store; here lie second names of their blobs, or copies where a file can
have only one, so that nothing of theirs goes that another writer has replaced meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab import environment
from gpures_lab.errors import CheckpointCorrupt
from gpures_lab.grain.store.failures import explained

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Spill", "SpilledArray"]

_LOCK = "lock"


@dataclass(frozen=True)
class SpilledArray:
    """One allocation in a file, and what it must say when it is read back."""

    path: Path
    nbytes: int
    checksum: int


class Spill:
    """The folder of one manager; made when first needed, locked while the process lives."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._lock = -1

    def write(self, data: NDArray[np.uint8]) -> SpilledArray:
        """Put bytes away. A full or read-only disk is our error with its cure."""
        return SpilledArray(self.keep(data.data), data.nbytes, zlib.crc32(data.data))

    def keep(self, *parts: bytes | memoryview) -> Path:
        """Put parts away, one behind the other; the file that holds them."""
        with explained(str(environment.state_path()), "the memory of a deactivated grain"):
            path = self._place() / secrets.token_hex(16)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    for part in parts:
                        rest = memoryview(part)
                        while rest:
                            rest = rest[file.write(rest) :]
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return path

    def read(self, spilled: SpilledArray) -> NDArray[np.uint8]:
        """Bring bytes back, verified."""
        with explained(str(spilled.path)):
            data: NDArray[Any] = np.fromfile(spilled.path, np.uint8)
        found = zlib.crc32(data.data)
        if data.nbytes != spilled.nbytes or found != spilled.checksum:
            raise CheckpointCorrupt(
                f"the spill file {spilled.path} has {data.nbytes:,} bytes with checksum "
                f"{found:08x}, expected {spilled.nbytes:,} with {spilled.checksum:08x}; its grain "
                "is lost unless it was checkpointed: grain.discard(), then lab.restore()",
                expected=spilled.checksum,
                found=found,
            )
        return data

    def pin(self, file: Path) -> Path | None:
        """Give a file one more name; None where that cannot be (another disk, no such file)."""
        with suppress(OSError):
            path = self._place() / secrets.token_hex(16)
            os.link(file, path)
            return path
        return None

    @staticmethod
    def remove(path: Path) -> None:
        """Forget bytes, or a name."""
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder and all in it."""
        if self._folder is None:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)
        self._folder = None

    def _place(self) -> Path:
        if self._folder is None:
            root = environment.state_dir() / "spill"
            root.mkdir(mode=0o700, exist_ok=True)
            _sweep(root)
            folder = root / f"{os.getpid()}-{secrets.token_hex(8)}"
            folder.mkdir(mode=0o700)
            self._lock = _locked(folder)
            self._folder = folder
        return self._folder


def _locked(folder: Path) -> int:
    """Descriptor whose lock says that the folder's process lives; -1 if another has it."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor


def _sweep(root: Path) -> None:
    """Remove what killed processes left behind."""
    for folder in root.iterdir():
        # Without its lock file it is being made right now.
        if not (folder / _LOCK).exists():
            continue
        descriptor = _locked(folder)
        if descriptor >= 0:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
