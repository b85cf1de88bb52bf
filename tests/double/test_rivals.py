"""The rivals' side of gpu-check, over NumPy: it must work when it first meets a GPU.

Kernels in CUDA C are run as the same arithmetic in NumPy, a graph as what its capture recorded, and
Numba's by its own simulator; so what is held here is the calls, not the kernels.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import numba
import numpy as np
import pytest

import gpures_lab as gl
from tests.gpu import rival_chain, rival_classic, rival_heat, rival_zscore
from tests.gpu.steps import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = (rival_chain, rival_classic, rival_heat, rival_zscore)
SMALL = {"ROUNDS": 12, "STEPS": 40, "REPEATS": 1, "POINTS": 400}
RIVALS = {"gpures_lab", "CuPy", "CUDA graph"}


class _Array(np.ndarray):
    """NumPy's, with what CuPy's has besides."""

    def set(self, values: Any) -> None:
        self[...] = values

    def get(self, out: Any = None) -> Any:
        if out is None:
            return np.array(self)
        out[...] = self
        return out

    @property
    def data(self) -> Any:  # type: ignore[override]
        at = self.ctypes.data
        return SimpleNamespace(
            copy_from_host_async=lambda ptr, n, stream: stream.do(ctypes.memmove, at, ptr, n),
            copy_to_host_async=lambda ptr, n, stream: stream.do(ctypes.memmove, ptr, at, n),
        )


class _Stream:
    present: Any = None

    def __init__(self, *, non_blocking: bool = False) -> None:
        self._captured: list[Any] | None = None

    def do(self, call: Any, *given: Any) -> None:
        if self._captured is None:
            call(*given)
        else:
            self._captured.append((call, given))

    def __enter__(self) -> Self:
        _Stream.present = self
        return self

    def __exit__(self, *_reason: object) -> None:
        _Stream.present = None

    def begin_capture(self) -> None:
        self._captured = []

    def end_capture(self) -> Any:
        calls, self._captured = self._captured or [], None

        def launch(stream: _Stream) -> None:
            for call, given in calls:
                stream.do(call, *given)

        return SimpleNamespace(launch=launch)

    def synchronize(self) -> None: ...


def _affine(x: Any, a: Any, b: Any, _n: Any) -> None:
    x[:] = a * x + b


def _add(x: Any, y: Any, _n: Any) -> None:
    x += y


def _spread(u: Any, v: Any, c: Any, _side: Any) -> None:
    around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
    v[1:-1, 1:-1] = u[1:-1, 1:-1] + c * (around - 4 * u[1:-1, 1:-1])


def _score(  # noqa: PLR0917 - a kernel's parameters
    points: Any, count: Any, window: Any, size: Any, total: Any, cursor: Any, z: Any
) -> None:
    for k in range(int(count)):
        fresh, old = np.float64(points[k]), np.float64(window[cursor[0]])
        window[cursor[0]] = points[k]
        cursor[0] = (cursor[0] + 1) % size
        total += [fresh - old, fresh * fresh - old * old]
        mean = total[0] / size
        deviation = np.sqrt(max(total[1] / size - mean * mean, 1e-30))
        z[k] = (fresh - mean) / deviation


KERNELS = {
    "rival_affine": _affine,
    "rival_add": _add,
    "rival_spread": _spread,
    "rival_score": _score,
}


def _cupy() -> ModuleType:
    module = ModuleType("cupy")
    stream = _Stream()

    def array(make: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **named: make(*given, **named).view(_Array)

    def raw_kernel(source: str, name: str) -> Any:
        assert f"void {name}(" in source
        return lambda _grid, _block, given: (_Stream.present or stream).do(KERNELS[name], *given)

    def elementwise(_ins: str, _outs: str, _text: str, _name: str) -> Any:
        return lambda a, b, x: _affine(x, a, b, x.size)

    vars(module).update(
        {name: array(getattr(np, name)) for name in ("empty", "zeros", "ones", "cumsum", "sqrt")}
    )
    vars(module).update({name: getattr(np, name) for name in ("float32", "float64", "int64")})
    vars(module).update(
        asarray=lambda values: np.array(values).view(_Array),
        asnumpy=np.asarray,
        add=np.add,
        RawKernel=raw_kernel,
        ElementwiseKernel=elementwise,
        cuda=SimpleNamespace(
            Stream=_Stream,
            Device=lambda: stream,
            get_current_stream=lambda: stream,
            alloc_pinned_memory=_Pinned,
        ),
    )
    return module


class _Pinned(bytearray):
    @property
    def ptr(self) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(self))


def _run(monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, Any]:
    """Run one with few repeats, ours on the host."""
    host = SimpleNamespace(**{each: getattr(gl, each) for each in ("Grain", "ResidentArray")})
    host.GrainManager = lambda device: gl.GrainManager(device="host")
    module = next(each for each in MODULES if each.__name__.endswith(name))
    monkeypatch.setattr(module, "gl", host)
    for constant, few in SMALL.items():
        # The chain's right answer is that of its own number of steps.
        if hasattr(module, constant) and not (constant == "STEPS" and name == "rival_chain"):
            monkeypatch.setattr(module, constant, few)
    found: dict[str, Any] = getattr(module, name)()
    return found


@pytest.mark.parametrize("name", ["rival_chain", "rival_classic", "rival_heat", "rival_zscore"])
def test_cupy_and_the_graph_run(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Would catch: a rival that is lost to a misspelled call when a GPU is there at last."""
    monkeypatch.setitem(sys.modules, "cupy", _cupy())
    monkeypatch.delattr(numba, "cuda", raising=False)  # where another test has imported it
    for absent in ("numba.cuda", "torch"):  # None: it cannot be imported
        monkeypatch.setitem(sys.modules, absent, None)
    found = _run(monkeypatch, name)
    json.dumps(found)
    assert {each for each, row in found.items() if "median_us" in row} >= RIVALS
    assert "absent" in found["PyTorch"]


SIMULATED = """
import sys
import pytest
from tests.double.test_rivals import _run
sys.modules["cupy"] = sys.modules["torch"] = None
with pytest.MonkeyPatch.context() as patched:
    patched.setattr("tests.gpu.race.tell", lambda _found: None)
    try:
        found = _run(patched, sys.argv[1])
    except RuntimeError as error:
        raise SystemExit(str(error))
assert "median_us" in found["Numba-CUDA"], found
"""


def test_numba_runs() -> None:
    """Would catch: the same of Numba's, in its simulator, which takes no kernel that is nested."""
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED, "rival_zscore"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
