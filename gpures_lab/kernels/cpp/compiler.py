"""The host's C++ compiler: found, named, run."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gpures_lab.errors import CompileError
from gpures_lab.kernels.cpp.source_text import BODY_FILE
from gpures_lab.kernels.source import Source

__all__ = ["Compiler", "compile_library", "find_compiler"]

_log = logging.getLogger("gpures_lab")
_TIMEOUT_S = 900.0
# C++17: what NVRTC takes by default, and its headers are twice as quick to read as C++20's.
# No contraction, so that results equal NumPy's; no strict aliasing, because one array may be
# declared as long in one place and long long in another. Stack probes, so that runaway recursion
# meets the guard page (KernelFault) instead of stepping over it into another thread's memory. No
# exceptions, as on a device: nobody on a worker's stack could catch one.
_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno"),
    *("-fno-trapping-math", "-fno-strict-aliasing", "-fno-sanitize=all"),
    *("-fstack-clash-protection", "-fno-exceptions"),
    *("-shared", "-fPIC", "-fvisibility=hidden", "-w"),
)
_ERROR = re.compile(rf"^{BODY_FILE}:(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.MULTILINE)
_ANY_ERROR = re.compile(r"^(.*?): (?:fatal )?error: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Compiler:
    """A command and what it says its version is."""

    command: tuple[str, ...]
    version: str


def find_compiler(kernel: str) -> Compiler:
    """``$CXX``, ``c++``, ``g++``, ``clang++``, else the ziglang wheel.

    Raises
    ------
    CompileError
        There is none; the message says how to get one.
    """
    for given in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        command = shlex.split(given)
        if command and shutil.which(command[0]):
            found = _ask((shutil.which(command[0]) or command[0], *command[1:]))
            if found is not None:
                return found
    if importlib.util.find_spec("ziglang") is not None:
        found = _ask((sys.executable, "-m", "ziglang", "c++"))
        if found is not None:
            _announce_zig()
            return found
    raise CompileError(
        f"kernel {kernel}: no C++ compiler found (looked for $CXX, c++, g++, clang++ and the "
        'ziglang wheel); install one, or: pip install "gpures_lab[cpp]". Python kernels need none',
        kernel=kernel,
    )


@functools.cache
def _ask(command: tuple[str, ...]) -> Compiler | None:
    """The compiler behind a command, or None if it does not run."""
    try:
        said = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return Compiler(command, said.stdout.strip())


@functools.cache
def _announce_zig() -> None:
    # A warning, so that it is seen without any setting: two silent minutes look like a hang.
    _log.warning(
        "C++ kernels are compiled by the ziglang wheel; the first one on this machine waits about "
        "two minutes while it builds its own runtime"
    )


def compile_library(source: Source, text: str, *, checked: bool) -> bytes:
    """Compile a generated file to a shared library.

    Raises
    ------
    CompileError
        With the line of the body and the compiler's words.
    """
    compiler = find_compiler(source.name)
    with tempfile.TemporaryDirectory(prefix="gpures-") as folder:
        written, library = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
        written.write_text(text)
        command = [*compiler.command, *_FLAGS, str(written), "-o", str(library)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=folder, check=False
            )
        except subprocess.TimeoutExpired as reason:
            raise source.error(f"the compiler ran longer than {_TIMEOUT_S:.0f} s") from reason
        if done.returncode:
            raise _compile_error(source, done.stderr, checked)
        return library.read_bytes()


def _compile_error(source: Source, said: str, checked: bool) -> CompileError:
    first = _ERROR.search(said)
    line = int(first[1]) if first else None
    anywhere = _ANY_ERROR.search(said)
    words = first[2] if first else anywhere[2] if anywhere else said.strip() or "no message"
    hint = ""
    if checked and "View<" in said:
        hint = (
            "; in a checked body arrays are only subscripted (x[...]) or asked for x.size() and "
            "x.shape(d). checked=False gives plain pointers, and no protection"
        )
    error = source.error(f"{words}{hint}", line)
    error.fields["compiler"] = said
    error.__dict__["compiler"] = said
    return error
