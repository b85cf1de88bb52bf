"""Kernels as users write them, one of each kind: `compile-check` compiles them too."""

from __future__ import annotations

import math
from typing import Any

from gpures_lab.kernels.definition import cpp_kernel, kernel, reduction

__all__ = ["SAMPLES"]


@kernel
def sample_map(i: int, x: Any, y: Any, z: Any, a: float) -> None:
    """One element of each array, read before it is written: 16-byte loads."""
    z[i] = a * x[i] + y[i] - math.sqrt(z[i])


@kernel
def sample_plate(i: int, j: int, x: Any, z: Any, a: float) -> None:
    """A map of two indices."""
    z[i, j] = a * x[i, j] + 1


@kernel
def sample_stencil(i: int, x: Any, z: Any) -> None:
    """Neighbours, checked."""
    z[i] = (x[i - 1] + x[i] + x[i + 1]) / 3


@kernel
def sample_heat(i: int, j: int, u: Any, v: Any) -> None:
    """A plate, checked in two dimensions."""
    if 0 < i < u.shape[0] - 1 and 0 < j < u.shape[1] - 1:
        around = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
        v[i, j] = u[i, j] + 0.1 * (around - 4 * u[i, j])
    else:
        v[i, j] = u[i, j]


@kernel(checked=False)
def sample_loop(i: int, x: Any, z: Any, steps: int) -> None:
    """A loop inside an index, unchecked."""
    total = 0
    for k in range(steps):
        total += x[(i + k) % x.size]
    z[i] = total


@reduction(init=0.0)  # type: ignore[untyped-decorator]
def sample_reduction(acc: Any, v: Any) -> Any:
    """One thread's, in order."""
    return acc + v * v


sample_cpp_map = cpp_kernel(
    "sample_cpp_map", "const float* x, const float* y, float* z, float a", "z[i] = a * x[i] + y[i];"
)
sample_cpp_checked = cpp_kernel(
    "sample_cpp_checked",
    "const double* u, double* v",
    "long w = u.shape(1); v[i * w + j] = 0.5 * (u[(i - 1) * w + j] + u[(i + 1) * w + j]);",
    indices=2,
)
sample_cpp_unchecked = cpp_kernel(
    "sample_cpp_unchecked",
    "const float* x, float* z",
    "float best = x[0]; for (long k = 1; k < 16; ++k) best = max(best, __ldg(x + k)); z[i] = best;",
    checked=False,
)
sample_cpp_complex = cpp_kernel(
    "sample_cpp_complex", "const complex<float>* x, complex<float>* z", "z[i] = x[i] * x[i];"
)

SAMPLES = (
    sample_map,
    sample_plate,
    sample_stencil,
    sample_heat,
    sample_loop,
    sample_reduction,
    sample_cpp_map,
    sample_cpp_checked,
    sample_cpp_unchecked,
    sample_cpp_complex,
)
