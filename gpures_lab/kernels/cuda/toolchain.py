"""NVRTC and nvJitLink: CUDA C++ to LTO-IR, LTO-IR to a cubin. Neither needs a GPU or a driver."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpures_lab.environment import ring_variant
from gpures_lab.errors import CompileError, DriverUnavailable
from gpures_lab.kernels.cuda.headers import SHARED
from gpures_lab.kernels.machine_identity import package_version

__all__ = [
    "BASE_ARCH",
    "Linked",
    "check_arch",
    "compile_ltoir",
    "link",
    "link_ptx",
    "toolchain_versions",
]

BASE_ARCH = 75
"""LTO-IR for it links for every later architecture, so each source is compiled once."""
_ERROR = re.compile(
    r"^(?P<file>\w+)\((?P<line>\d+)\): (?:catastrophic )?error: (?P<words>.*)$", re.MULTILINE
)
_MISSING = (
    "the CUDA compilers are missing ({}): pip install 'gpures_lab[cuda13]', or [cuda12] for a "
    "driver older than 580, or [compile] on a machine without a GPU"
)


@dataclass(frozen=True, slots=True)
class Linked:
    """A cubin, and what the linker's own assembler said of each function in it."""

    cubin: bytes
    log: str


def toolchain_versions() -> tuple[str, ...]:
    """Of everything that makes LTO-IR or links it, and its variant; part of every cache key."""
    nvrtc, nvjitlink = _modules()
    _, *compiler = nvrtc.nvrtcVersion()
    packages = ("numba", "numba-cuda", "llvmlite", "nvidia-nvvm", "numpy")
    return (
        f"nvrtc {compiler}",
        f"nvjitlink {nvjitlink.version()}",
        *(f"{name} {package_version(name)}" for name in packages),
        *ring_variant(),
    )


def check_arch(arch: str) -> int:
    """The number in ``"sm_90"``.

    Raises
    ------
    DriverUnavailable
        The installed compilers do not know it: it is newer than they, or no longer supported.
    """
    match = re.fullmatch(r"sm_(\d+)", arch)
    known = _known_archs()
    number = int(match[1]) if match else 0
    if number not in known:
        compiler = ".".join(str(part) for part in _compiler_version())
        raise DriverUnavailable(
            f"no code can be made for {arch}: the installed CUDA compilers ({compiler}) know "
            f"{', '.join(f'sm_{each}' for each in known)}; "
            + ("name one of them" if match is None or number < known[-1] else "install newer ones")
        )
    return number


def compile_ltoir(text: str, name: str) -> bytes:
    """Compile a CUDA C++ file; ``name`` is what its errors call it.

    Raises
    ------
    CompileError
        With the file's line (``line``) and the compiler's whole text (``compiler``) as fields.
    DriverUnavailable
        NVRTC is not installed.
    """
    nvrtc, _ = _modules()
    options = [f"-arch=compute_{BASE_ARCH}", "--std=c++20", "-dlto", "-rdc=true", f"-I{SHARED}"]
    # No contraction, so that results equal NumPy's; nvJitLink is told so again.
    options += ["-fmad=false", "-default-device"]
    options += [f"-DGPURES_{each.replace('-', '_').upper()}=1" for each in ring_variant()]
    if "<cuda/std/" in text:
        options.append(f"-I{_cccl_headers()}")
    program = _call(nvrtc.nvrtcCreateProgram(text.encode(), name.encode(), 0, [], []))
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
        if int(status) != 0:
            raise _compile_error(name, _bytes(nvrtc, program, "ProgramLog").decode().strip("\0\n"))
        return _bytes(nvrtc, program, "LTOIR")
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def link(parts: Sequence[tuple[str, bytes]], arch: str) -> Linked:
    """Link named LTO-IR into one cubin for one architecture.

    Raises
    ------
    CompileError
        The linker refused; its words are quoted.
    DriverUnavailable
        nvJitLink is not installed, or does not know ``arch``.
    """
    cubin, log = _link(parts, arch, ["-verbose", "-Xptxas=-v"], "cubin")
    return Linked(cubin, log)


def link_ptx(parts: Sequence[tuple[str, bytes]], arch: str) -> str:
    """The PTX that `link` makes its cubin of."""
    return _link(parts, arch, ["-ptx"], "ptx")[0].decode().rstrip("\0")


def _link(
    parts: Sequence[tuple[str, bytes]], arch: str, options: list[str], result: str
) -> tuple[bytes, str]:
    check_arch(arch)
    _, nvjitlink = _modules()
    # -fma=0: contraction is the code generator's, and that runs here.
    options = [f"-arch={arch}", "-lto", "-fma=0", *options]
    handle = nvjitlink.create(len(options), options)
    try:
        try:
            for name, part in parts:
                kind = nvjitlink.InputType.LTOIR
                nvjitlink.add_data(handle, kind, part, len(part), name)
            nvjitlink.complete(handle)
        except nvjitlink.nvJitLinkError as reason:
            said = _log(nvjitlink, handle, "error") or str(reason)
            raise CompileError(
                f"linking {len(parts)} parts for {arch} failed: {said}", arch=arch, compiler=said
            ) from reason
        code = bytearray(getattr(nvjitlink, f"get_linked_{result}_size")(handle))
        getattr(nvjitlink, f"get_linked_{result}")(handle, code)
        return bytes(code), _log(nvjitlink, handle, "info")
    finally:
        nvjitlink.destroy(handle)


@functools.cache
def _modules() -> tuple[Any, Any]:
    try:
        from cuda.bindings import nvjitlink, nvrtc

        nvrtc.nvrtcVersion()
        nvjitlink.version()
    # What is not there may be the bindings, or the library that they look for at the first call.
    except (ImportError, RuntimeError, OSError) as reason:
        raise DriverUnavailable(_MISSING.format(reason)) from reason
    _check_versions(_version(nvrtc), tuple(nvjitlink.version()))
    return nvrtc, nvjitlink


def _check_versions(compiler: tuple[int, ...], linker: tuple[int, ...]) -> None:
    """LTO-IR is read by linkers of the same major version that are not older."""
    if compiler[0] != linker[0] or compiler > linker:
        spelled = [".".join(map(str, each)) for each in (compiler, linker)]
        raise DriverUnavailable(
            f"NVRTC {spelled[0]} makes code that nvJitLink {spelled[1]} cannot link; install "
            f"nvidia-nvjitlink of version {compiler[0]}.{compiler[1]} or later"
        )


def _version(nvrtc: Any) -> tuple[int, ...]:
    _, major, minor = nvrtc.nvrtcVersion()
    return int(major), int(minor)


def _compiler_version() -> tuple[int, ...]:
    return _version(_modules()[0])


def _known_archs() -> list[int]:
    nvrtc, _ = _modules()
    return sorted(_call(nvrtc.nvrtcGetSupportedArchs()))


def _cccl_headers() -> str:
    """NVIDIA's C++ standard library: from its wheel, else from a toolkit."""
    from cuda.pathfinder import find_nvidia_header_directory

    found = find_nvidia_header_directory("cccl")
    if found is None:
        raise DriverUnavailable(_MISSING.format("no CCCL headers"))
    return str(found)


def _call(result: tuple[Any, ...]) -> Any:
    status, *values = result
    if int(status) != 0:
        raise RuntimeError(f"NVRTC: {status}")
    return values[0]


def _bytes(nvrtc: Any, program: Any, what: str) -> bytes:
    data = bytearray(_call(getattr(nvrtc, f"nvrtcGet{what}Size")(program)))
    getattr(nvrtc, f"nvrtcGet{what}")(program, data)
    return bytes(data)


def _log(nvjitlink: Any, handle: int, kind: str) -> str:
    text = bytearray(getattr(nvjitlink, f"get_{kind}_log_size")(handle))
    getattr(nvjitlink, f"get_{kind}_log")(handle, text)
    return text.decode(errors="replace").strip("\0\n ")


def _compile_error(name: str, said: str) -> CompileError:
    first = _ERROR.search(said)
    words = first["words"] if first else said or "no message"
    where = f", line {first['line']}" if first else ""
    error = CompileError(f"{name}{where}: {words}", compiler=said)
    error.fields["line"] = int(first["line"]) if first else None
    return error
