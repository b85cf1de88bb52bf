"""The image: what is in it, and what the driver is told of it; no GPU is needed."""

from __future__ import annotations

import pytest

from gpures_lab.errors import CompileError, DriverUnavailable
from gpures_lab.kernels.cuda.compilation import compile_device
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.guess import likely_signature
from gpures_lab.kernels.cuda.image import RING_ENTRY, link_image
from gpures_lab.kernels.cuda.library_kernel import compile_library
from gpures_lab.kernels.cuda.toolchain import compile_ltoir, link
from gpures_lab.kernels.definition import cpp_kernel
from gpures_lab.kernels.library import library

pytest.importorskip("cuda.bindings.nvjitlink", reason='pip install "gpures_lab[compile]"')


def row(name: str, *dtypes: str) -> DeviceKernel:
    """The library's version for distinct arrays."""
    found = library.fill()[name].definition.row(dtypes, range(len(dtypes)))
    return compile_library(found, library.native(found))


FIRST = {
    3: ("kernels/Fill", "float32"),
    4: ("kernels/Copy", "float32", "float32"),
    9: ("kernels/VectorAdd", *["float32"] * 3),
    10: ("kernels/Mul", *["float32"] * 3),
    11: ("kernels/Fma", *["float32"] * 4),
    70: ("kernels/Saxpy", *["float32"] * 3),
    71: ("kernels/Sum", "float32", "float32"),
}


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_the_first_image_links_for_every_architecture(arch: str) -> None:
    """Catches a device header that NVRTC refuses, and an entry point that the linker dropped."""
    kernels = {number: row(*named) for number, named in FIRST.items()}
    image = link_image(kernels, arch)
    assert image.cubin.startswith(b"\x7fELF")
    assert set(image.kernel_ids) == set(image.wide_entries) == set(FIRST)
    for entry in (image.ring_entry, *image.wide_entries.values()):
        assert entry.encode() in image.cubin
        assert image.resources[entry].spill_bytes == 0
        assert image.resources[entry].stack_bytes == 0
    assert image.any_blocks == set(FIRST) - {71}
    assert (image.resources[RING_ENTRY].registers or 256) <= 128  # two blocks of 256 threads an SM
    assert image.resources[RING_ENTRY].shared_bytes <= 48 * 1024


def test_a_users_heavy_kernel_is_left_to_the_wide_path() -> None:
    """Catches a kernel whose stack every thread of the ring would have to have."""
    heavy = cpp_kernel(
        "heavy",
        "const int* x, int* z",
        "int t[300]; for (int k = 0; k < 300; ++k) t[k] = x[k] + k; z[i] = t[x[i] % 300];",
        checked=False,
    )
    light = cpp_kernel("light", "const int* x, int* z", "z[i] = x[i] + 1;")
    made = {n: compile_device(k, likely_signature(k)) for n, k in ((5, heavy), (6, light))}
    image = link_image(made, "sm_90")
    assert image.kernel_ids == {6: "light"}
    assert set(image.wide_entries) == {5, 6}
    assert "stack" in image.left_out[5]
    assert image.resources[RING_ENTRY].stack_bytes == 0
    assert image.resources[image.wide_entries[5]].stack_bytes > 512


def test_two_ids_of_one_kernel_share_its_code() -> None:
    """Catches a kernel that is linked twice because it was defined again."""
    add = row("kernels/Add", *["float32"] * 3)
    image = link_image({3: add, 700: add}, "sm_90")
    assert image.kernel_ids == {3: "kernels/Add", 700: "kernels/Add"}
    assert image.wide_entries[3] == image.wide_entries[700]


def test_an_unknown_architecture_names_the_known_ones() -> None:
    """Catches code made for another architecture than was asked for."""
    with pytest.raises(DriverUnavailable, match=r"sm_12345.*sm_90"):
        link_image({}, "sm_12345")


def test_the_linkers_words_are_shown() -> None:
    """Catches a link error that says only that there was one."""
    text = 'extern "C" __device__ int absent();\n'
    text += 'extern "C" __global__ void f(int* x) { *x = absent(); }\n'
    with pytest.raises(CompileError, match="absent"):
        link([("f", compile_ltoir(text, "f"))], "sm_90")


def test_a_syntax_error_names_its_line() -> None:
    """Catches a compile error without a place."""
    with pytest.raises(CompileError, match="mine, line 2:"):
        compile_ltoir("int x;\nint y = ;\n", "mine")
