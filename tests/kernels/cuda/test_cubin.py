"""What the linked machine code does, read from the cubin of each architecture.

The polls of the ring kernel are read in tests/core/test_nvrtc.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from gpures_lab.kernels.cuda.compilation import compile_device
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.guess import likely_signature
from gpures_lab.kernels.cuda.image import RING_ENTRY, Image, link_image
from gpures_lab.kernels.cuda.library_kernel import compile_library
from gpures_lab.kernels.cuda.samples import SAMPLES
from gpures_lab.kernels.library import library
from tests.kernels.cuda.sass import READ_ONLY_CACHE, disassemble, run_tool

pytest.importorskip("cuda.bindings.nvjitlink", reason='pip install "gpures_lab[compile]"')

WIDE_LOAD = re.compile(r"\bLDG?\.E\.128\b")
WIDE_STORE = re.compile(r"\bSTG?\.E\.128\b")
SPILL = re.compile(r"\b(?:STL|LDL)\b")
LIBRARY = ("Fill", "Copy", "Add", "Mul", "Fma", "Saxpy")  # the first image
ARRAYS = {"Fill": 1, "Copy": 2, "Fma": 4}


def library_kernel(name: str) -> DeviceKernel:
    dtypes = ["float32"] * ARRAYS.get(name, 3)
    row = library.fill()[f"kernels/{name}"].definition.row(dtypes, range(len(dtypes)))
    return compile_library(row, library.native(row))


class Linked(NamedTuple):
    """The first image and one with the samples: entry points, and their instructions."""

    image: Image
    first: Image
    code: dict[str, list[str]]
    first_code: dict[str, list[str]]
    entries: dict[str, str]

    def of(self, name: str) -> list[str]:
        """Instructions of a kernel's own entry point."""
        return self.code[self.entries[name]]


@pytest.fixture(scope="module", params=["sm_80", "sm_90", "sm_100"])
def linked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Linked:
    arch: str = request.param
    folder = tmp_path_factory.mktemp(arch)
    first = {number: library_kernel(name) for number, name in enumerate(LIBRARY, 1)}
    samples = [compile_device(kernel, likely_signature(kernel)) for kernel in SAMPLES]
    kernels = first | dict(enumerate(samples, len(first) + 1))
    image, alone = link_image(kernels, arch), link_image(first, arch)
    return Linked(
        image=image,
        first=alone,
        code=disassemble(image.cubin, folder),
        first_code=disassemble(alone.cubin, folder),
        entries={kernel.name: kernel.wide_entry for kernel in kernels.values()},
    )


def test_the_entry_points_are_there(linked: Linked) -> None:
    """Catches a kernel that the linker dropped, and two whose code was taken for one."""
    entries = [RING_ENTRY, *linked.image.wide_entries.values()]
    assert set(entries) <= linked.code.keys()
    texts = ["".join(re.sub(r"/\*\w+\*/", "", line) for line in linked.code[e]) for e in entries]
    assert len(set(texts)) == len(entries)


def test_nothing_is_read_through_the_read_only_cache(linked: Linked) -> None:
    """Catches `const __restrict__`, __ldg and a compiler that knows better: yesterday's data."""
    for entry, instructions in linked.code.items():
        assert [line for line in instructions if READ_ONLY_CACHE.search(line)] == [], entry


@pytest.mark.parametrize(
    "name",
    [
        "kernels/Copy",
        "kernels/Add",
        "kernels/Saxpy",
        "sample_map",
        "sample_cpp_map",
        "sample_plate",
    ],
)
def test_maps_move_16_bytes_at_a_time(linked: Linked, name: str) -> None:
    """Catches a wrapper whose packs came apart: one load an array, before any store."""
    instructions = linked.of(name)
    loads = [at for at, line in enumerate(instructions) if WIDE_LOAD.search(line)]
    stores = [at for at, line in enumerate(instructions) if WIDE_STORE.search(line)]
    inputs = 1 if name in ("kernels/Copy", "sample_plate") else 2
    # sample_map reads its output too; an unrolled loop repeats the pattern.
    assert len(loads) >= inputs + (name == "sample_map")
    assert stores
    assert max(loads[: inputs + (name == "sample_map")]) < stores[0]
    assert not any(SPILL.search(line) for line in instructions)


def test_the_ring_dispatches_maps_with_the_same_loads(linked: Linked) -> None:
    """Catches packs that are whole in a kernel's own entry point only."""
    assert sum(bool(WIDE_LOAD.search(line)) for line in linked.code[RING_ENTRY]) >= 10


def test_products_are_not_contracted(linked: Linked) -> None:
    """Catches `a * x + y` as one instruction: results would differ from the host's and NumPy's."""
    for name in ("kernels/Saxpy", "sample_cpp_map"):
        text = "\n".join(linked.of(name))
        assert re.search(r"\bFMUL\b", text), name
        assert not re.search(r"\bFFMA\b", text), name
    assert re.search(r"\bFFMA\b", "\n".join(linked.of("kernels/Fma")))


def test_the_serve_loop_of_the_first_image_does_not_spill(linked: Linked) -> None:
    """Catches a serve loop that two blocks an SM no longer have the registers for."""
    assert not any(SPILL.search(line) for line in linked.first_code[RING_ENTRY])
    found = linked.first.resources[RING_ENTRY]
    assert (found.spill_bytes, found.stack_bytes) == (0, 0)
    assert found.registers is not None
    assert found.registers <= 128


def test_the_reading_is_the_tools(linked: Linked, tmp_path: Path) -> None:
    """Catches a log that is read wrongly: cuobjdump says the same of the same cubin."""
    path = tmp_path / "image.cubin"
    path.write_bytes(linked.image.cubin)
    said = run_tool("cuobjdump", "-res-usage", str(path))
    usage = dict(re.findall(r"Function (\w+):\s*\n\s*(REG:.*)", said))
    for entry, found in linked.image.resources.items():
        if found.registers is None:
            continue
        figures = dict(re.findall(r"(REG|STACK|SHARED):(\d+)", usage[entry]))
        assert int(figures["REG"]) == found.registers
        assert int(figures["STACK"]) == found.stack_bytes
        assert int(figures["SHARED"]) >= found.shared_bytes
