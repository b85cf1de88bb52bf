"""Grains: identity, lifecycle, handles, and the manager that runs them in this process.

``directory`` (the manager: engine, metrics) → ``grain`` (one actor: allocate, write, compute, read,
release) → ``borrow`` (a view without a copy), ``program`` (recorded messages), ``batch``
(many at once); ``tracing``, ``serving`` (what others see of it).
``hooks`` is what the native binding calls back.
"""

from gpures_lab._core._native import Completion, ResidentArray
from gpures_lab.grain.batch import messages
from gpures_lab.grain.directory import GrainManager, manager, open_manager
from gpures_lab.grain.grain import Grain
from gpures_lab.grain.program import Program, RunResult
from gpures_lab.grain.result import ComputeResult
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
    "serve_metrics",
]
