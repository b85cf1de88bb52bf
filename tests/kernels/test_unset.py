"""A local is assigned on every path to where it is read: in Python it would be an error too."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import ast
import textwrap

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.errors import CompileError
from gpures_lab.kernels import Kernel, kernel_from_source

from .calling import call


def made(body: str) -> Kernel:
    names = {
        node.id for node in ast.walk(ast.parse(textwrap.dedent(body))) if isinstance(node, ast.Name)
    }
    return kernel_from_source(
        "f",
        body,
        inputs=["x"] if "x" in names else [],
        outputs=["z"],
        namespace={"gl": gl, "FOUR": 4},
    )


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("if x[i] > 5:\n  s = 3.0\nz[i] = s", "s"),
        ("if x[i] > 5:\n  pass\nelse:\n  s = 3.0\nz[i] = s", "s"),
        ("if x[i] > 5:\n  s = 1\nelif x[i] > 3:\n  s = 2\nz[i] = s", "s"),
        ("if x[i] > 5:\n  s = 3.0\ns += 1\nz[i] = s", "s"),
        ("for q in range(i):\n  s = x[q]\nz[i] = s", "s"),
        ("for q in range(i):\n  if x[q] > 3:\n    break\nz[i] = q", "q"),
        ("q = 0\nwhile q < i:\n  s = x[q]\n  q += 1\nz[i] = s", "s"),
        ("for q in range(4):\n  if x[q] > 3:\n    break\n  s = x[q]\nz[i] = s", "s"),
        ("for q in range(4):\n  if x[q] > 3:\n    s = s + 1\n  else:\n    s = 0\nz[i] = 1", "s"),
        ("while True:\n  if x[i] > 3:\n    break\n  s = 1\n  break\nz[i] = s", "s"),
        ("t = 1 if x[i] > 5 else s\ns = 2\nz[i] = t", "s"),
        ("if x[i] > 5:\n  j = 1\nz[i] = x[j]", "j"),
    ],
)
def test_a_local_that_may_be_unset_is_refused(body: str, name: str) -> None:
    """Catches a path on which it reads as 0."""
    with pytest.raises(CompileError, match=rf"{name} (may be unset|is read before)"):
        made(body)


@pytest.mark.parametrize(
    "body",
    [
        "s = 0.0\nif x[i] > 5:\n  s = 3.0\nz[i] = s",
        "if x[i] > 5:\n  s = 3.0\nelse:\n  s = 1.0\nz[i] = s",
        "if x[i] > 5:\n  z[i] = 1\n  return\nelse:\n  s = 1.0\nz[i] = s",
        "for q in range(4):\n  s = x[q]\nz[i] = s + q",
        "for q in range(FOUR):\n  if x[q] > 99:\n    continue\n  z[i] = q\nz[i] = q",
        "for q in range(i):\n  if q > 2:\n    continue\n  s = x[q]\n  z[i] = s",
        "while True:\n  s = x[i]\n  break\nz[i] = s",
        "q = 0\nfor q in range(i):\n  pass\nz[i] = q",
        "a, b = x[i], 2\na, b = b, a\nz[i] = a",
        "for q in range(2):\n  for r in range(3):\n    t = q * r\nz[i] = t",
    ],
)
def test_what_is_set_on_every_path_is_not(body: str) -> None:
    x, z = np.arange(8.0), np.zeros(8)
    kernel = made(body)
    call(kernel, [x] if "x" in kernel.parameters else [], [z])


def test_in_a_function_that_a_kernel_calls_and_in_a_reduction() -> None:
    def clipped(v):
        if v > 5:
            w = 5.0
        return w

    with pytest.raises(CompileError, match="w may be unset"):

        @gl.kernel
        def calls(i, x, z):
            z[i] = clipped(x[i])

    with pytest.raises(CompileError, match="w may be unset"):

        @gl.reduction(init=0.0)
        def total(acc, v):
            if v > 0:
                w = v
            return acc + w
