"""``gpures-lab compile-check``: the library and users' kernels compiled and linked for GPUs.

No GPU and no driver is asked for anything. Each kernel is compiled once, to LTO-IR, and linked for
every architecture in groups, each with the ring kernel.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpures_lab.errors import CompileError, DriverUnavailable, GpuResError
from gpures_lab.kernels.cuda.compilation import compile_device
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.guess import likely_signature
from gpures_lab.kernels.cuda.image import MAX_STACK_BYTES, RING_ENTRY, image_parts, link_image
from gpures_lab.kernels.cuda.library_kernel import compile_library
from gpures_lab.kernels.cuda.read_only import read_only_loads
from gpures_lab.kernels.cuda.toolchain import check_arch
from gpures_lab.kernels.definition import Kernel
from gpures_lab.kernels.library import library
from gpures_lab.metrics.units import plural

__all__ = ["TITLES", "CheckRow", "compile_check", "summary", "table_line"]

TITLES = ("kernel", "version", "arch", "path", "registers", "spills", "stack", "shared", "")

GROUP = 48
"""Kernels linked together: the ring kernel costs as much as fifty small ones."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One kernel for one architecture.

    Attributes
    ----------
    kernel, variant
        Name, and what tells its versions apart.
    path
        ``"ring"``: both paths run it; ``"wide"``: only a plain launch does. ``""`` if it failed.
    registers, spill_bytes, stack_bytes, shared_bytes
        Of its own entry point, a thread's and (shared) a block's; None if it was not linked.
    problem
        Why the check fails; empty if it does not.
    """

    kernel: str
    variant: str
    arch: str
    path: str
    registers: int | None
    spill_bytes: int | None
    stack_bytes: int | None
    shared_bytes: int | None
    problem: str


def table_line(fields: Sequence[object]) -> str:
    """One line of the table: of `TITLES`, or of a row's fields."""
    line = "{:34}{:28}{:8}{:>5}{:>10}{:>7}{:>7}{:>8}  {}"
    return line.format(*("–" if each is None else each for each in fields)).rstrip()


def summary(rows: Sequence[CheckRow], archs: Sequence[str], *, short: bool) -> str:
    """The table's last line."""
    kernels = plural(len({(row.kernel, row.variant) for row in rows}), "kernel")
    which = "--short, one version of each library kernel; all are some 840" if short else "all"
    problems = plural(sum(bool(row.problem) for row in rows), "problem")
    return f"{kernels} ({which}) for {', '.join(archs)}: {problems}"


def compile_check(
    archs: Sequence[str], files: Sequence[Path] = (), *, short: bool = False
) -> Iterator[CheckRow]:
    """Compile and link everything; rows come as groups are done.

    Parameters
    ----------
    archs
        As ``"sm_90"``.
    files
        Python files; every kernel that they define is compiled too.
    short
        One version of each library kernel instead of all.

    Raises
    ------
    DriverUnavailable
        The compilers are missing or do not know an architecture.
    """
    for arch in archs:
        check_arch(arch)
    compiled: list[tuple[str, DeviceKernel]] = []
    for name, variant, made in (*_user_kernels(files), *_library_kernels(short=short)):
        if isinstance(made, DeviceKernel):
            compiled.append((variant, made))
        else:
            yield from (_failed(name, variant, arch, made) for arch in archs)
    for first in range(0, max(len(compiled), 1), GROUP):
        group = dict(enumerate(compiled[first : first + GROUP], 1))
        kernels = {number: kernel for number, (_, kernel) in group.items()}
        found: Sequence[str] | str
        try:  # once for all: the linker's PTX is made of the same code whatever it is assembled for
            found = read_only_loads(image_parts(kernels), min(archs, key=check_arch))
        except DriverUnavailable:
            raise
        except GpuResError as error:
            found = str(error)
        for arch in archs:
            yield from _link_group(group, arch, found, with_ring=first == 0)


def _link_group(
    group: Mapping[int, tuple[str, DeviceKernel]],
    arch: str,
    found: Sequence[str] | str,
    *,
    with_ring: bool,
) -> Iterator[CheckRow]:
    kernels = {number: kernel for number, (_, kernel) in group.items()}
    failed = found if isinstance(found, str) else ""
    try:
        image = None if failed else link_image(kernels, arch)
    except DriverUnavailable:
        raise
    except GpuResError as error:
        failed, image = str(error), None
    if image is None:
        for variant, kernel in group.values():
            yield _failed(kernel.name, variant, arch, failed)
        return
    if with_ring or found:
        problem = f"reads through the read-only cache: {found[0]}" if found else ""
        if image.resources[RING_ENTRY].stack_bytes > MAX_STACK_BYTES and not problem:
            problem = f"the ring kernel needs more than {MAX_STACK_BYTES} bytes of stack"
        yield _row(RING_ENTRY, "", arch, "ring", image, RING_ENTRY, problem)
    for number, (variant, kernel) in group.items():
        path = "wide" if number in image.left_out else "ring"
        spills = not kernel.user and image.resources[kernel.wide_entry].spill_bytes
        problem = "a library kernel spills" if spills else ""
        yield _row(kernel.name, variant, arch, path, image, kernel.wide_entry, problem)


def _row(  # noqa: PLR0917 - a row's fields in their order
    name: str, variant: str, arch: str, path: str, image: object, entry: str, problem: str
) -> CheckRow:
    resources = image.resources[entry]  # type: ignore[attr-defined]
    return CheckRow(
        kernel=name,
        variant=variant,
        arch=arch,
        path=path,
        registers=resources.registers,
        spill_bytes=resources.spill_bytes,
        stack_bytes=resources.stack_bytes,
        shared_bytes=resources.shared_bytes,
        problem=problem,
    )


def _failed(name: str, variant: str, arch: str, problem: str) -> CheckRow:
    return CheckRow(name, variant, arch, "", None, None, None, None, problem)


Made = tuple[str, str, DeviceKernel | str]
"""Name, variant, and the compiled kernel or what went wrong."""


def _user_kernels(
    files: Sequence[Path], *, samples: Sequence[Kernel] | None = None
) -> Iterator[Made]:
    if samples is None:
        from gpures_lab.kernels.cuda.samples import SAMPLES

        samples = SAMPLES
    for kernel in samples:
        yield _compiled(kernel, kernel.language)
    for file in files:
        try:
            names = runpy.run_path(str(file))
        except (CompileError, SyntaxError, OSError) as error:
            yield file.name, "file", str(error)
            continue
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's file does
            yield file.name, "file", f"{type(error).__name__}: {error}"
            continue
        kernels = {id(each): each for each in names.values() if isinstance(each, Kernel)}
        if not kernels:
            yield file.name, "file", "it defines no kernel"
        for kernel in kernels.values():
            yield _compiled(kernel, file.name)


def _compiled(kernel: Kernel, variant: str) -> Made:
    try:
        return kernel.name, variant, compile_device(kernel, likely_signature(kernel))
    except DriverUnavailable:
        raise
    except GpuResError as error:
        return kernel.name, variant, str(error)


def _library_kernels(*, short: bool) -> Iterator[Made]:
    seen: set[str] = set()
    library.fill()
    for operation in library.catalogue:
        rows = list(operation.rows)
        if short:
            apart = [row for row in rows if row.same == tuple(range(len(row.dtypes)))] or rows
            rows = [row for row in apart if "float32" in row.dtypes][:1] or apart[:1]
        for row in rows:
            native = library.native(row)
            cpp_type = native["type"]
            if cpp_type in seen:  # rows of equal bits share their code
                continue
            seen.add(cpp_type)
            pattern = "".join(str(first) for first in row.same)
            try:
                made: DeviceKernel | str = compile_library(row, native)
            except CompileError as error:
                made = str(error)
            yield row.name, f"{','.join(row.dtypes)} {pattern}", made
