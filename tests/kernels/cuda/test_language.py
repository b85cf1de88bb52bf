"""Everything the kernel language has compiles for devices as well."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.errors import CompileError
from gpures_lab.kernels import ArraySpec, Kernel, Signature, kernel_from_source
from gpures_lab.kernels.cuda.compilation import compile_device
from gpures_lab.kernels.cuda.guess import likely_signature
from gpures_lab.kernels.cuda.toolchain import link_ptx
from gpures_lab.kernels.typed import calls

pytest.importorskip("cuda.bindings.nvjitlink", reason='pip install "gpures_lab[compile]"')

OPERATORS = (
    *("x[i] + y[i]", "x[i] - y[i]", "x[i] * y[i]", "x[i] / y[i]", "x[i] // y[i]", "x[i] % y[i]"),
    *("x[i] ** y[i]", "-x[i]", "~x[i]", "x[i] << y[i]", "x[i] >> y[i]", "x[i] & y[i]"),
    *("min(x[i], y[i])", "max(x[i], y[i])", "abs(x[i])", "round(x[i])", "int(x[i])", "float(x[i])"),
    *("bool(x[i])", "x[i] if x[i] > y[i] else y[i]", "x[i].real", "x[i].imag"),
    *("gl.fma(x[i], y[i], 1)", "helper(x[i], y[i])", "np.int16(x[i])", "np.complex64(x[i])"),
)


def helper(a: float, b: float) -> float:
    """Called by a kernel, with a loop to return from."""
    for _ in range(3):
        if abs(a) > abs(b):
            return a
    return b


def expressions() -> list[str]:
    found = list(OPERATORS)
    found += [
        f"math.{name}(x[i]{', y[i]' if name in calls._MATH_TWO else ''})"
        for name in sorted(calls._MATH_FLOAT - calls._MATH_LEFT_OUT)
    ]
    for name in sorted(dir(np)):
        ufunc = getattr(np, name)
        if isinstance(ufunc, np.ufunc) and name not in calls._UFUNCS_LEFT_OUT and ufunc.nout == 1:
            found.append(f"np.{name}(x[i]{', y[i]' if ufunc.nin == 2 else ''})")
    return found


def made(name: str, lines: list[str]) -> Kernel:
    return kernel_from_source(
        name,
        "\n".join(f"z[i] = {line}" for line in lines),
        inputs=["x", "y"],
        outputs=["z"],
        namespace={"np": np, "math": math, "gl": gl, "helper": helper},
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "uint64", "bool"])
def test_every_operation_that_the_host_has_compiles_for_devices(dtype: str) -> None:
    """Catches a function that Numba's CUDA target lacks, or one that would ask for a driver.

    All of them in one kernel: what typing refuses for the dtype, it refuses on both drivers.
    """
    spec = ArraySpec(dtype, 1)
    signature = Signature((spec,) * 3, (0, 1, 2), 2, (), True)
    typed = []
    for line in expressions():
        try:
            _typed(made("one", [line]), signature)
        except CompileError:
            continue
        typed.append(line)
    assert len(typed) > 40
    compile_device(made("all_of_them", typed), signature)


def _typed(kernel: Kernel, signature: Signature) -> None:
    from gpures_lab.kernels.typed.kernel import type_kernel

    type_kernel(kernel, ("x", "y", "z"), signature)


def test_floats_are_not_contracted_in_python_kernels() -> None:
    """Catches `a * x + y` as one instruction, which rounds once where the host rounds twice."""
    spec = ArraySpec("float32", 1)
    signature = Signature((spec,) * 3, (0, 1, 2), 2, (), True)
    apart = link_ptx(
        compile_device(made("apart", ["x[i] * y[i] + y[i]"]), signature).parts, "sm_90"
    )
    assert "fma.rn.f32" not in apart
    fused = link_ptx(
        compile_device(made("fused", ["gl.fma(x[i], y[i], y[i])"]), signature).parts, "sm_90"
    )
    assert "fma.rn.f32" in fused


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    "statement",
    [
        "__syncthreads();",
        "__shared__ float s[4];",
        "value = __shfl_sync(0xffffffffu, value, 0);",
        "__trap();",
        'printf("%f", value);',
    ],
)
def test_a_body_neither_waits_nor_traps(statement: str, *, checked: bool) -> None:
    """Catches a barrier that some threads never reach, and the end of every grain's context."""
    body = f"float value = a[i];\n{statement}\nz[i] = value;"
    kernel = gl.cpp_kernel("stuck", "const float* a, float* z", body, checked=checked)
    with pytest.raises(CompileError, match="line 2: .*(one index's|ends one index)"):
        compile_device(kernel, likely_signature(kernel))
