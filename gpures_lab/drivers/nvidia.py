"""Whether an NVIDIA driver is there, found out without loading anything of CUDA's."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["NvidiaDriver", "find_nvidia_driver", "list_gpus"]

VERSION_FILE: Final = Path("/proc/driver/nvidia/version")
_VERSION: Final = re.compile(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b")


@dataclass(frozen=True, slots=True)
class NvidiaDriver:
    """An installed NVIDIA driver.

    Attributes
    ----------
    version
        As the driver prints it; ``""`` when it did not say.
    """

    version: str

    @property
    def extra(self) -> str:
        """The extra of ours that fits: CUDA 13 needs driver 580 or newer."""
        major = int(self.version.partition(".")[0] or 0)
        return "cuda13" if major >= 580 else "cuda12"


def find_nvidia_driver(version_file: Path = VERSION_FILE) -> NvidiaDriver | None:
    """Return the kernel's NVIDIA driver, ``None`` if there is none.

    WSL2 has no version file; there ``nvidia-smi`` answers for the driver of Windows.
    """
    try:
        found = _VERSION.search(version_file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    if found:
        return NvidiaDriver(found[1])
    rows = _query("driver_version")
    return NvidiaDriver(rows[0]) if rows else None


def list_gpus() -> tuple[str, ...]:
    """Return the names of the GPUs that ``nvidia-smi`` lists, in its order."""
    return _query("name")


def _query(field: str) -> tuple[str, ...]:
    """Ask ``nvidia-smi``; an empty answer where it is missing, fails or hangs."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={field}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    # Without a driver it prints an apology to stdout and exits with an error.
    if answer.returncode != 0:
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())
