"""``gpures-lab compile-check``: the library and users' kernels compiled and linked for GPUs.

No GPU and no driver is asked for anything. Each kernel is compiled once, to LTO-IR, and linked for
every architecture in groups, each with the ring kernel. Groups of the library's versions know
nothing of each other: they are shared out among processes that are few and end.
"""

from __future__ import annotations

import multiprocessing
import runpy
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from gpures_lab.errors import CompileError, DriverUnavailable, GpuResError
from gpures_lab.kernels.catalogue import LibraryRow
from gpures_lab.kernels.cuda.compilation import compile_device
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.guess import likely_signature
from gpures_lab.kernels.cuda.image import MAX_STACK_BYTES, RING_ENTRY, image_parts, link_image
from gpures_lab.kernels.cuda.library_kernel import compile_library
from gpures_lab.kernels.cuda.ltoir_cache import forget
from gpures_lab.kernels.cuda.read_only import read_only_loads
from gpures_lab.kernels.cuda.toolchain import check_arch
from gpures_lab.kernels.definition import Kernel
from gpures_lab.kernels.library import library

__all__ = ["CheckRow", "compile_check"]

GROUP = 16
"""Kernels linked together: the ring kernel costs as much as a few, and the assembler's time grows
faster than the number of kernels that it calls."""
GROUPS_EACH = 8
"""Groups that one process takes, more or less, before others are started."""


Made = tuple[str, str, DeviceKernel | str]
"""Name, variant, and the compiled kernel or what went wrong."""


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


def compile_check(
    archs: Sequence[str], files: Sequence[Path] = (), *, short: bool = False, jobs: int = 1
) -> Iterator[CheckRow]:
    """Compile and link everything; rows come as groups are done.

    Parameters
    ----------
    archs
        As ``"sm_90"``.
    files
        Python files; every kernel that they define is compiled too.
    short
        One version of each library kernel instead of all, in one image with users' kernels: the
        ring kernel's row is of that image.
    jobs
        Processes for the library. What the compilers do not give back ends with each, so the
        whole check takes the memory of a few groups.

    Raises
    ------
    DriverUnavailable
        The compilers are missing or do not know an architecture.
    """
    for arch in archs:
        check_arch(arch)
    rows = _library_rows(short=short)
    made = list(_user_kernels(files))
    if short:
        made += [_compiled_row(row) for row in rows]
        rows = []
    yield from _check_group(made, archs, with_ring=True)
    groups = [range(first, min(first + GROUP, len(rows))) for first in range(0, len(rows), GROUP)]
    if jobs <= 1:
        for group in groups:
            yield from _check_rows(group, tuple(archs))
        return
    # Not max_tasks_per_child, whose successors do not always come (CPython 3.11).
    spawn = multiprocessing.get_context("spawn")
    for first in range(0, len(groups), jobs * GROUPS_EACH):
        with ProcessPoolExecutor(jobs, spawn) as pool:
            try:
                some = groups[first : first + jobs * GROUPS_EACH]
                for done in pool.map(_check_rows, some, repeat(tuple(archs))):
                    yield from done
            finally:
                pool.shutdown(cancel_futures=True)


def _check_rows(numbers: Sequence[int], archs: Sequence[str]) -> list[CheckRow]:
    """Check a group of the library's versions, by their numbers in `_library_rows`."""
    rows = _library_rows(short=False)
    made = [_compiled_row(rows[number]) for number in numbers]
    forget()  # the group holds what it needs
    return list(_check_group(made, archs, with_ring=False))


def _check_group(
    made: Sequence[Made], archs: Sequence[str], *, with_ring: bool
) -> Iterator[CheckRow]:
    compiled: list[tuple[str, DeviceKernel]] = []
    for name, variant, kernel in made:
        if isinstance(kernel, DeviceKernel):
            compiled.append((variant, kernel))
        else:
            yield from (_failed(name, variant, arch, kernel) for arch in archs)
    group = dict(enumerate(compiled, 1))
    found: Sequence[str] | str
    try:  # once for all: the linker's PTX is made of the same code whatever it is assembled for
        kernels = {number: kernel for number, (_, kernel) in group.items()}
        found = read_only_loads(image_parts(kernels), min(archs, key=check_arch))
    except DriverUnavailable:
        raise
    except GpuResError as error:
        found = str(error)
    for arch in archs:
        yield from _link_group(group, arch, found, with_ring=with_ring)


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


def _library_rows(*, short: bool) -> list[LibraryRow]:
    """Versions of library kernels; those of equal bits share their code, and the first stands."""
    found: dict[str, LibraryRow] = {}
    library.fill()
    for operation in library.catalogue:
        rows = list(operation.rows)
        if short:
            apart = [row for row in rows if row.same == tuple(range(len(row.dtypes)))] or rows
            rows = [row for row in apart if "float32" in row.dtypes][:1] or apart[:1]
        for row in rows:
            found.setdefault(library.native(row)["type"], row)
    return list(found.values())


def _compiled_row(row: LibraryRow) -> Made:
    pattern = "".join(str(first) for first in row.same)
    try:
        made: DeviceKernel | str = compile_library(row, library.native(row))
    except CompileError as error:
        made = str(error)
    return row.name, f"{','.join(row.dtypes)} {pattern}", made
