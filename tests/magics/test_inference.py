"""Names of a body, without a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.magics.inference import Uses, infer_python
from gpures_lab.magics.inference_cpp import declaration, infer_cpp

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("z[i] = a * x[i]", Uses(("x",), ("z",), ("a",), 1)),
        ("z[i] += x[i]", Uses(("x",), ("z",), (), 1)),
        ("for j in range(n):\n    z[i] = x[j]", Uses(("x",), ("z",), (), 1)),
        ("z[i, k] = x[j]", Uses(("x",), ("z",), (), 3)),
        ("t = abs(a)\nz[i] = t", Uses((), ("z",), ("a",), 1)),
        ("z[i] = x.size", Uses(("x",), ("z",), (), 1)),
    ],
)
def test_python_names(lab: gl.GrainManager, body: str, wanted: Uses) -> None:
    """Catches a loop variable taken for an index, and a local or builtin for a number."""
    grain = lab.grain()
    visible = {"x": grain.allocate(4), "z": grain.allocate(4), "a": 2.0, "n": 99, "i": 7}
    assert infer_python("cell", body, visible, ()) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("z[i] = a * x[i];", "const float* x, float* z, float a"),
        ("for (int j = 0; j < n; ++j) z[i] += x[j];", "const float* x, float* z"),
        ("float a = x[i]; z[i] = a;", "const float* x, float* z"),
        ("z[i] = count * h;  // x[i] = w", "float* z, long long count, int16_t h"),
        ("++z[i];", "float* z"),
        ("float t = a, w(x[i]); z[i] = t * w;", "const float* x, float* z, float a"),
        ("float a, w = 2; a = x[i]; z[i] = a * w;", "const float* x, float* z"),
        ("float t[2] = {x[i], a}; z[i] = t[0] + t[1];", "const float* x, float* z, float a"),
        (
            "const float& w = x[i]; float *p = &z[i], a = w; *p = a; z[i] = a;",
            "const float* x, float* z",
        ),
        ("auto [a, w] = split(x[i]); z[i] = a + w;", "const float* x, float* z"),
        ("z[i] = count * w + a * w;", "float* z, long long count, float w, float a"),
        ("for (int j = 0, count = n; j < count; ++j) z[i] += x[j];", "const float* x, float* z"),
        (
            "auto f = [&](float a, float w) { return a * w; }; z[i] = f(x[i], 2);",
            "const float* x, float* z",
        ),
        ("complex<float> a(x[i], 0); z[i] = a.real();", "const float* x, float* z"),
        ("z[i] = static_cast<float>(count) / (float)a;", "float* z, long long count, float a"),
        ("if (x[i] < w) z[i] = a; else z[i] = w;", "const float* x, float* z, float w, float a"),
        ("if (x[i] == 2) z[i] = 1;", "const float* x, float* z"),
    ],
)
def test_cpp_declaration(lab: gl.GrainManager, body: str, wanted: str) -> None:
    """Catches a comparison taken for a store, a comment for code, a local for a param."""
    grain = lab.grain()
    arrays = {"x": grain.allocate(4), "z": grain.allocate(4)}
    numbers = {"a": 2.0, "count": 3, "h": np.int16(2), "w": 1.0}
    uses = infer_cpp("cell", body, {**arrays, **numbers}, ())
    assert uses.indices == 1
    assert declaration(uses, arrays, numbers) == wanted


@pytest.mark.parametrize("infer", [infer_python, infer_cpp])
def test_an_array_on_the_host_is_refused(lab: gl.GrainManager, infer: Callable[..., Uses]) -> None:
    visible = {"z": lab.grain().allocate(4), "px": np.zeros(4)}
    with pytest.raises(gl.InvalidOption, match="px is a NumPy array on the host"):
        infer("cell", "z[i] = px[i];", visible, ())
