"""What compiled code depends on besides its source: processor, versions, our own front ends."""

from __future__ import annotations

import functools
import hashlib
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["front_end_digest", "package_version", "processor"]


@functools.cache
def processor() -> str:
    """Architecture and features of this processor: code is compiled for exactly these."""
    parts = [sys.platform, platform.machine()]
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        from llvmlite import binding as llvm

        parts += [llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    else:
        wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
        first = text.split("\n\n", 1)[0].splitlines()
        parts += [line for line in first if line.startswith(wanted)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def front_end_digest() -> str:
    """Digest of this package's own text: a changed front end compiles again."""
    folder = Path(__file__).parent
    summed = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        summed.update(path.relative_to(folder).as_posix().encode())
        summed.update(path.read_bytes())
    return summed.hexdigest()


@functools.cache
def package_version(name: str) -> str:
    """Installed version, without importing the package."""
    return _version_by_folder(name) or _version_by_metadata(name)


def _version_by_folder(name: str) -> str | None:
    """As the one folder of metadata beside the package is named, if there is just one."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    found = list(Path(spec.origin).parent.parent.glob(f"{name}-*.dist-info"))
    return found[0].name[len(name) + 1 : -len(".dist-info")] if len(found) == 1 else None


def _version_by_metadata(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # with a parser of e-mail

    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
