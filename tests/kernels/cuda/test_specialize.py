"""What the ring is told of a kernel version that only a device runs."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab._core import _native
from gpures_lab.kernels import Kernel, compilation


@gl.kernel
def saxpy(i, x, y, z, a):
    z[i] = a * x[i] + y[i]


@gl.kernel
def stencil(i, x, z):
    z[i] = x[i - 1]


@gl.kernel
def first(i, x, z):
    z[0] = z[0] + x[i]


@gl.reduction(init=0.0)
def total(acc, v):
    return acc + v


scale = gl.cpp_kernel("scale", "const float* x, float* z, float w", "z[i] = w * x[i];")
adds = gl.cpp_kernel("adds", "const float* x, float* z", "z[0] += x[i];")
shift = gl.cpp_kernel("shift", "const float* x, float* z", "z[i] = x[i + 1];")


@pytest.mark.parametrize(
    ("kernel", "inputs", "values"),
    [
        (saxpy, 2, (0.5,)),
        (stencil, 1, ()),
        (total, 1, ()),
        (scale, 1, (2.0,)),
        (shift, 1, ()),
        (first, 1, ()),
        (adds, 1, ()),
    ],
)
def test_a_device_version_is_described_as_the_hosts_and_needs_no_compiler(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, inputs: int, values: tuple[Any, ...]
) -> None:
    """Catches other checks than on the host, and a C++ kernel that needs g++ for a GPU."""
    arrays = tuple(np.zeros(4, np.float32) for _ in range(inputs + 1))
    call = (inputs, arrays, tuple(range(inputs + 1)), values, True)
    on_host = kernel._specialize(*call, False)

    def refuse(*_: object) -> None:
        raise AssertionError("the host's compiler was asked")

    monkeypatch.setattr(compilation, "compile_host", refuse)
    monkeypatch.setattr("gpures_lab.kernels.specialize.compile_host", refuse)
    on_device = kernel._specialize(*call, True)
    may_fault = _native.kernel_flags["may_fault"]
    assert on_device[0] == 0
    assert on_device[4] == on_host[4] & ~may_fault
    # The last word says whether the host's was at hand: true if an equal kernel ran before.
    assert on_device[2:4] + on_device[5:-1] == on_host[2:4] + on_host[5:-1]
