"""Every figure of gpu-check that the double can run: it must work when it first meets a GPU.

What they say here is no figure, and nobody looks at it but for its form.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.gpu import beside, crossover, figures, loops, measure, names, variants

if TYPE_CHECKING:
    from collections.abc import Callable

    import gpures_lab as gl

FEW: dict[str, float] = {
    "COUNT": 40,
    "WARM": 4,
    "LEAST": 1,
    "NOOPS": 200,
    "MESSAGES": 280,
    "REPEATS": 2,
}
FEW |= {"PINGS": 20, "MOST_S": 0.2, "QUIET_S": 0, "SIDE": 8, "COPY_BYTES": 64}
# Kernels of their own, processes of their own.
NEEDS_A_GPU = {"floors", "poll_variants"}
NEEDS_A_GPU |= {"rival_chain", "rival_classic", "rival_heat", "rival_zscore"}  # test_rivals.py


class _Event:
    def record(self) -> None: ...
    def synchronize(self) -> None: ...


def _numpy_as_cupy() -> ModuleType:
    """As much of CuPy's array functions as the figures call, on the host."""
    module = ModuleType("cupy")
    stream = SimpleNamespace(synchronize=lambda: None)
    for name in ("add", "asarray", "copyto", "empty", "float32", "full", "matmul", "uint8"):
        setattr(module, name, getattr(np, name))
    module.asnumpy = np.asarray  # type: ignore[attr-defined]
    module.zeros = np.zeros  # type: ignore[attr-defined]
    module.random = SimpleNamespace(  # type: ignore[attr-defined]
        random=lambda shape, dtype: np.random.default_rng(1).random(shape, dtype)
    )
    module.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        Event=_Event,
        get_elapsed_time=lambda _begun, _ended: 1.0,
        get_current_stream=lambda: stream,
        Device=lambda _index=0: stream,
        alloc_pinned_memory=lambda _bytes: SimpleNamespace(ptr=0),
    )

    def saxpy(x: Any, y: Any, a: Any, z: Any) -> None:
        z[:] = a * x + y

    module.ElementwiseKernel = lambda *_given: saxpy  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("name", sorted(figures.FIGURES.keys() - NEEDS_A_GPU))
def test_a_figure_runs(
    make_lab: Callable[..., gl.GrainManager], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Would catch: a row that is lost to a misspelled option when a GPU is there at last."""
    del make_lab  # managers on cuda:0 have the double's workers
    monkeypatch.setitem(sys.modules, "cupy", _numpy_as_cupy())
    for module in (beside, crossover, figures, loops, measure, variants):
        for constant, few in FEW.items():
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, few)
    monkeypatch.setattr(crossover, "SIZES", (1 << 14, 1 << 15))
    monkeypatch.setattr(crossover, "WIDE_SIZE", 1 << 12)
    found = figures.FIGURES[name]()
    assert found
    json.dumps(found)


def test_the_names_are_the_figures() -> None:
    """Would catch: a figure that the command does not know, or a name that no figure has."""
    assert list(names.FIGURES) == list(figures.FIGURES)
