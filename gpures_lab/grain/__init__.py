"""Grains: identity, lifecycle, handles, and the manager that runs them in this process.

``directory`` (the manager: engine, metrics; ``finding``, ``ending``: its grains' begin and its
end; ``own``: this process's) → ``grain`` (one actor: allocate, write, compute, read,
release) → ``borrow`` (a view without a copy), ``program`` (recorded messages; ``runs``: how
far they are), ``batch`` (many at once); ``tracing``, ``serving`` (what others see of it).
``hooks`` is what the native binding calls back.

The names come in at their first use, so that `%load_ext` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from gpures_lab._core._native import Completion, ResidentArray

if TYPE_CHECKING:
    from gpures_lab.grain.batch import messages
    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.grain import Grain
    from gpures_lab.grain.own import manager, open_manager, open_managers
    from gpures_lab.grain.program import Program
    from gpures_lab.grain.result import ComputeResult, RunResult
    from gpures_lab.grain.serving import serve_metrics

__all__ = [
    "Completion",
    "ComputeResult",
    "Grain",
    "GrainManager",
    "Program",
    "ResidentArray",
    "RunResult",
    "manager",
    "messages",
    "open_manager",
    "open_managers",
    "serve_metrics",
]

_HOME_OF: Final = {
    "messages": "batch",
    "GrainManager": "directory",
    "Grain": "grain",
    "manager": "own",
    "open_manager": "own",
    "open_managers": "own",
    "Program": "program",
    "ComputeResult": "result",
    "RunResult": "result",
    "serve_metrics": "serving",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value  # from now on an ordinary attribute
    return value
