"""Which files make up which suite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["SUITES", "modules"]

SUITES: dict[str, tuple[str, ...]] = {
    "ring": (
        "ring.native",
        "ring.single_calls",
        "ring.handover",
        "ring.classic_loop",
        "ring.many_grains",
        "ring.at_rest",
    ),
    "memory": ("memory.pool_mix", "memory.transfers"),
    "kernels": ("kernels.library", "kernels.throughput", "kernels.kernel_cache"),
    "programs": ("programs.messages", "workloads.chain", "programs.chain_map"),
    "workloads": (
        "workloads.chain",
        "workloads.heat",
        "workloads.pagerank",
        "workloads.kmeans",
        "workloads.zscore",
        "workloads.inference",
    ),
    "state": ("state.checkpoint_speed", "state.neighbours", "state.swap_cost"),
    "notebook": ("notebook.cells", "notebook.promises", "notebook.live"),
}


def modules(suites: Iterable[str]) -> Iterator[tuple[str, ModuleType]]:
    """Suite and module, each once, imported one by one: a rival is loaded when it is its turn."""
    seen = set()
    for suite in suites:
        for name in SUITES[suite]:
            if name not in seen:
                seen.add(name)
                yield suite, import_module(f"tests.benchmarks.{name}")
