"""Which read-only loads are stale data, and which are tables of the math library."""

from __future__ import annotations

import pytest

from gpures_lab.kernels.cuda.compilation import compile_device
from gpures_lab.kernels.cuda.guess import likely_signature
from gpures_lab.kernels.cuda.read_only import in_ptx
from gpures_lab.kernels.cuda.toolchain import link_ptx
from gpures_lab.kernels.definition import cpp_kernel

pytest.importorskip("cuda.bindings.nvjitlink", reason='pip install "gpures_lab[compile]"')

DATA = """
.visible .entry f(.param .u64 p)
{
	ld.param.u64 	%rd1, [p];
	cvta.to.global.u64 	%rd2, %rd1;
	@%p1 ld.global.nc.f32 	%f1, [%rd2+4];
}
"""
TABLE = """
.visible .entry f(.param .u64 p)
{
	mul.wide.s32 	%rd1, %r1, 8;
	mov.u64 	%rd2, coefficients;
	add.s64 	%rd3, %rd2, %rd1;
	ld.global.nc.v2.f64 	{%fd1, %fd2}, [%rd3+16];
}
"""


def test_a_load_of_data_is_found_and_one_of_a_table_is_not() -> None:
    """Catches a check that sees neither, and registers of one function taken for another's."""
    assert in_ptx(DATA) == ["ld.global.nc.f32"]
    assert in_ptx(TABLE) == []
    assert in_ptx(TABLE + DATA) == ["ld.global.nc.f32"]


def test_a_body_may_use_the_double_precision_sine() -> None:
    """Catches a kernel that is refused for the math library's own table."""
    waves = cpp_kernel("waves", "const double* x, double* z", "z[i] = sin(x[i]) + std::cos(x[i]);")
    made = compile_device(waves, likely_signature(waves))
    assert "ld.global.nc" in link_ptx(made.parts, "sm_90")  # or this test tests nothing
