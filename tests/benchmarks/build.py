"""Builds the native floors: a bare SPSC ring, a bare loop around a kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["NotBuilt", "build", "native"]

FOLDER = Path("build/benchmarks")


class NotBuilt(Exception):
    """The floors cannot be built here; the text says why."""


def native(name: str) -> Path:
    """Where a program or library of the benchmarks lies once built."""
    return (FOLDER / name).resolve()


def build() -> None:
    """Build what changed, with CMake; seconds when nothing did."""
    # The build tools that pip put beside this Python go first, as in the Makefile.
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join((beside, os.environ.get("PATH", "")))
    cmake, ninja = (shutil.which(tool, path=path) for tool in ("cmake", "ninja"))
    if cmake is None:
        raise NotBuilt("CMake is missing: pip install cmake ninja")
    generator = ["-G", "Ninja"] if ninja and not (FOLDER / "CMakeCache.txt").exists() else []
    options = ["-DGPURES_MODULE=OFF", "-DGPURES_BENCHMARKS=ON"]
    configure = [cmake, "-S", "gpures_lab/_core", "-B", str(FOLDER), *generator, *options]
    for command in (configure, [cmake, "--build", str(FOLDER)]):
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path, "CMAKE_BUILD_PARALLEL_LEVEL": "2"},
        )
        if done.returncode:
            raise NotBuilt(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
