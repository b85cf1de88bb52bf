"""Machine code of a cubin, by the tools of the wheels nvidia-cuda-nvdisasm and -cuobjdump."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

READ_ONLY_CACHE = re.compile(r"\b(?:LDG?|TEX|TLD)\S*\.(?:CONSTANT|CI)\b")
_SECTION = re.compile(r"^\s*\.section\s+\.text\.(\w+),")
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/")


def tool(name: str) -> Path:
    """nvdisasm or cuobjdump from its wheel."""
    distribution = f"nvidia-cuda-{name}"
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        pytest.skip(f'{distribution} is missing: pip install "gpures_lab[test]"')
    return next(Path(str(f.locate())) for f in files if f.name == name)


def run_tool(name: str, *arguments: str) -> str:
    done = subprocess.run([tool(name), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def disassemble(cubin: bytes, folder: Path) -> dict[str, list[str]]:
    """The instructions of each entry point, one a line, with the functions that it calls."""
    path = folder / "image.cubin"
    path.write_bytes(cubin)
    found: dict[str, list[str]] = {}
    entry = ""
    for line in run_tool("nvdisasm", "-c", str(path)).splitlines():
        if section := _SECTION.match(line):
            entry = section[1]
        elif entry and _INSTRUCTION.search(line):
            found.setdefault(entry, []).append(line)
    return found
