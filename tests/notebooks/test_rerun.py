"""Every cell of every tutorial, ten times in one kernel: nothing is left behind but the first run.

The law is ownership: a handle owns its memory or a grain does, and a name that is used again
replaces what had it.
"""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.notebooks.tutorials import TUTORIALS, cells_of, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client import BlockingKernelClient

start_new_kernel = pytest.importorskip("jupyter_client.manager").start_new_kernel

# Jupyter's own libraries warn at the end of a kernel, in some versions.
pytestmark = [
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::RuntimeWarning"),
]

TIMES = 10
CELL_LIMIT_S = 120

# Runs in the kernel. Threads that were asked to end get a while to do so.
PROBE = """
def _held(wanted=None, tries=100):
    import gc, os, threading
    from gpures_lab.grain import ending
    gc.collect()
    labs = [lab for lab in ending.living if not lab.closed]
    for lab in labs:
        for grain in lab.grains.values():
            grain.barrier().result(60)
    metrics = [lab.metrics() for lab in labs]
    held = {
        "managers": len(labs),
        "grains": sum(len(lab.grains) for lab in labs),
        "pool bytes": sum(each.total_pool_size_bytes for each in metrics),
        "used bytes": sum(each.used_pool_size_bytes for each in metrics),
        "handles": sum(each.active_allocation_count for each in metrics),
        "kernels": max((each.kernel_cache_size for each in metrics), default=0),
    }
    for _ in range(tries):
        held["threads"] = len(os.listdir("/proc/self/task"))
        if wanted is None or held["threads"] <= wanted["threads"]:
            break
        threading.Event().wait(0.05)
    return held
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[BlockingKernelClient]:
    """Return a client of a fresh kernel, in a folder of its own."""
    environment = {**os.environ, "GPURES_STATE_DIR": str(tmp_path / "state")}
    manager, client = start_new_kernel(
        startup_timeout=CELL_LIMIT_S, cwd=str(tmp_path), env=environment
    )
    try:
        run(client, PROBE)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def run(client: BlockingKernelClient, code: str, *, fails: bool = False) -> None:
    reply = client.execute_interactive(code, timeout=CELL_LIMIT_S, output_hook=lambda _: None)
    content = reply["content"]
    assert (content["status"] == "error") == fails, "\n".join(
        [f"the cell ended with {content['status']}:", code, *content.get("traceback", ())]
    )


def held(client: BlockingKernelClient, wanted: dict[str, int] | None = None) -> dict[str, int]:
    """What the kernel holds now."""
    reply = client.execute_interactive(
        "",
        user_expressions={"held": f"__import__('json').dumps(_held({wanted}))"},
        timeout=CELL_LIMIT_S,
        output_hook=lambda _: None,
    )
    found = reply["content"]["user_expressions"]["held"]
    assert found["status"] == "ok", "\n".join(found["traceback"])
    counts: dict[str, int] = json.loads(ast.literal_eval(found["data"]["text/plain"]))
    return counts


def left_behind(
    client: BlockingKernelClient,
    cells: list[str],
    *,
    fails: Callable[[int], bool] = lambda _: False,
) -> list[str]:
    """Run each cell ten times; return what changed after its first run, by cell."""
    found = []
    for number, code in enumerate(cells):
        run(client, code, fails=fails(number))
        first = held(client)
        # What replaces something is made first, and what a loop drops is replaced as fast as the
        # worker is: idle blocks are a peak, which a run may raise. Those that pile up go on.
        pool = []
        for turn in range(1, TIMES):
            run(client, code, fails=fails(number))
            if turn in {1, TIMES // 2}:
                pool.append(held(client)["pool bytes"])
        after = held(client, first)
        if not pool[0] < pool[1] < after["pool bytes"]:
            first["pool bytes"] = after["pool bytes"]
        found += [
            f"cell {number}: {what} {first[what]:,} → {after[what]:,}\n{code}"
            for what in first
            # A thread of before may have ended meanwhile.
            if (first[what] < after[what] if what == "threads" else first[what] != after[what])
        ]
    return found


@pytest.mark.parametrize("notebook", TUTORIALS, ids=[path.stem for path in TUTORIALS])
def test_every_cell_ten_times(kernel: BlockingKernelClient, notebook: Path) -> None:
    """Would catch: a handle, a program, a kernel or a thread that each run of a cell adds."""
    tags: list[Any] = [cell["metadata"].get("tags", ()) for cell in cells_of(notebook)]
    left = left_behind(
        kernel, code_of(notebook), fails=lambda number: "raises-exception" in tags[number]
    )
    assert not left, "\n".join(left)


def test_what_a_cell_leaves_is_seen(kernel: BlockingKernelClient) -> None:
    """Would catch: a probe that counts nothing."""
    cells = [
        "import threading, gpures_lab as gl\ngrain, kept = gl.manager().grain(), []",
        "kept.append(grain.allocate(1024))",
        "gate = threading.Event()\nthreading.Thread(target=gate.wait, daemon=True).start()",
    ]
    grew = {line.splitlines()[0].split(" → ")[0] for line in left_behind(kernel, cells)}
    assert {text.rsplit(" ", 1)[0] for text in grew} == {
        "cell 1: pool bytes",
        "cell 1: used bytes",
        "cell 1: handles",
        "cell 2: threads",
    }
