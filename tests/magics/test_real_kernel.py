"""The magics in a kernel of its own, over the wire, as a notebook uses them."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client import BlockingKernelClient, KernelManager


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """Return a fresh kernel with the extension, and a client of it."""
    manager, found = start_new_kernel(startup_timeout=2 * LIMIT_S)
    try:
        outputs_of(found, f"import sys; sys.path[:0] = {sys.path!r}\n%load_ext gpures_lab")
        yield manager, found
    finally:
        found.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture
def client(kernel: tuple[KernelManager, BlockingKernelClient]) -> BlockingKernelClient:
    """Return the client."""
    return kernel[1]


def outputs_of(client: BlockingKernelClient, code: str) -> list[dict[str, Any]]:
    """Contents of the cell's outputs, in order."""
    found: list[dict[str, Any]] = []
    client.execute_interactive(
        code,
        timeout=2 * LIMIT_S,
        output_hook=lambda message: found.append(message["content"]),
    )
    return [each for each in found if "execution_state" not in each and "code" not in each]


def test_alloc_compute_and_the_handle_at_the_end(client: BlockingKernelClient) -> None:
    """Catches a display that works in a bare shell only."""
    outputs_of(client, "%grain_alloc x 4 --fill 2")
    (shown,) = outputs_of(client, "%grain_alloc z --like x")
    assert shown["data"]["text/plain"].startswith("z  float32 (4,)  16 B  grain 'notebook' on ")
    assert outputs_of(client, "%%grain_compute --param a=3\nz[i] = a * x[i]") == []
    (shown,) = outputs_of(client, "z")
    assert shown["data"]["text/plain"].endswith("[6., 6., 6., 6.]")
    assert "var(--jp-" in shown["data"]["text/html"]


def test_a_completion_awaited_in_a_cell(client: BlockingKernelClient) -> None:
    outputs_of(client, "%grain_alloc x 4 --fill 2")
    outputs_of(client, "%%grain_compute --noblock --into c\nx[i] = i")
    (shown,) = outputs_of(client, "(await c).kernel")
    assert shown["data"]["text/plain"] == "'cell'"


def test_a_magic_inside_a_function(client: BlockingKernelClient) -> None:
    outputs_of(client, "def f(data):\n    %grain_alloc y --from data\nf([1, 2])")
    (shown,) = outputs_of(client, "%grain_read y")
    assert shown["data"]["text/plain"] == "array([1, 2])"


def test_an_error_is_one_line_in_the_notebook(client: BlockingKernelClient) -> None:
    """Catches a traceback that only the bare shell shortens."""
    (shown,) = outputs_of(client, "%grain_read nosuch")
    assert shown["ename"] == "InvalidOption"
    assert shown["traceback"] == ["InvalidOption: nosuch is not defined: %grain_alloc nosuch 1024"]


def test_completion_over_the_wire(client: BlockingKernelClient) -> None:
    text = "%%grain_compute --rep"
    reply = client.complete(text, len(text), reply=True, timeout=2 * LIMIT_S)
    assert reply["content"]["matches"] == ["--repeat"]


def test_magics_in_an_async_function_and_its_await(client: BlockingKernelClient) -> None:
    """Catches a magic that blocks the loop for ever, or a completion of another loop."""
    outputs_of(
        client,
        "async def f(data):\n    %grain_alloc q --from data\n"
        "    get_ipython().run_cell_magic('grain_compute', '--noblock --into c', 'q[i] += 1\\n')\n"
        "    await c\n    return await q.read()",
    )
    (shown,) = outputs_of(client, "await f([1, 2])")
    assert shown["data"]["text/plain"] == "array([2, 3])"


def interrupted(kernel: tuple[KernelManager, BlockingKernelClient], code: str) -> dict[str, Any]:
    """Run a cell that prints when it is under way, and interrupt it; the error it ends with."""
    manager, client = kernel
    found: list[dict[str, Any]] = []

    def take(message: dict[str, Any]) -> None:
        if message["content"].get("text") == "on\n":  # once: a second one meets the next cell
            manager.interrupt_kernel()
        elif message["msg_type"] == "error":
            found.append(message["content"])

    client.execute_interactive(code, timeout=2 * LIMIT_S, output_hook=take)
    (error,) = found
    return error


def test_a_cell_interrupted_half_way_leaves_the_grain_serving(
    kernel: tuple[KernelManager, BlockingKernelClient],
) -> None:
    """Catches a grain that waits for the rest of a cell that will never come."""
    client = kernel[1]
    outputs_of(client, "%grain_alloc x 4 --fill 2\n%grain_alloc z 4")
    loop = "x.write(3).result()\nprint('on', flush=True)\nwhile True:\n    x.write(3).result()"
    assert interrupted(kernel, loop)["ename"] == "KeyboardInterrupt"
    outputs_of(client, "%%grain_compute\nz[i] = 2 * x[i]")
    (shown,) = outputs_of(client, "%grain_read z")
    assert shown["data"]["text/plain"].startswith("array([6., 6., 6., 6.]")


def test_a_program_interrupted_half_way_says_what_still_runs(
    kernel: tuple[KernelManager, BlockingKernelClient],
) -> None:
    """Catches a stop button that hangs, or that leaves a user without a way to stop the work."""
    client = kernel[1]
    outputs_of(client, "%grain_alloc x 4 --fill 1\n%grain_alloc z 4")
    outputs_of(
        client,
        "%%grain_program long\n"
        "grain.compute('kernels/Saxpy', inputs=[x, z], outputs=[z], params={'a': 1.0})",
    )
    error = interrupted(
        kernel,
        # Told by another thread once a lease has ended: by then the cell waits.
        "import threading, gpures_lab as gl\n"
        "launches = gl.manager()._engine.snapshot()['launches']\n"
        "def tell():\n"
        "    while gl.manager()._engine.snapshot()['launches'] < launches + 3: pass\n"
        "    print('on', flush=True)\n"
        "threading.Thread(target=tell).start()\n"
        "get_ipython().run_line_magic('grain_run', 'long --repeat 2**50')",
    )
    assert error["ename"] == "KeyboardInterrupt"
    assert re.search(r"request \d+ still runs; grain.cancel\(\)", error["evalue"])
    outputs_of(client, "x.grain.cancel()")
    (shown,) = outputs_of(client, "%grain_read x")
    assert shown["data"]["text/plain"].startswith("array([1., 1., 1., 1.]")


def test_reloading_leaves_grains_and_magics_working(client: BlockingKernelClient) -> None:
    """Catches magics of the old objects, or handles that die with the extension."""
    outputs_of(client, "%grain_alloc x 4 --fill 5")
    assert outputs_of(client, "%reload_ext gpures_lab\n%load_ext gpures_lab") in (
        [],
        [
            {
                "name": "stdout",
                "text": "The gpures_lab extension is already loaded. To reload it, "
                "use:\n  %reload_ext gpures_lab\n",
            }
        ],
    )
    (shown,) = outputs_of(client, "%grain_read x")
    assert shown["data"]["text/plain"].startswith("array([5., 5., 5., 5.]")
    (listing,) = outputs_of(client, "%grain_list")
    assert "text/html" in listing["data"]


def test_metrics_stay_current_while_nothing_runs(client: BlockingKernelClient) -> None:
    """Catches an output that is made once, or one that goes on after it was ended."""
    shown, *_ = outputs_of(client, "%grain_metrics --watch 0.1")
    assert "Messages Processed" in shown["data"]["text/plain"]
    display_id = shown["transient"]["display_id"]
    limit = time.monotonic() + LIMIT_S
    while True:
        assert time.monotonic() < limit
        message = client.get_iopub_msg(timeout=LIMIT_S)
        if message["msg_type"] == "update_display_data":
            break
    assert message["content"]["transient"]["display_id"] == display_id
    outputs_of(client, "%grain_metrics --watch 0")


def test_a_dashboard_is_widgets_a_few_lines_and_text(client: BlockingKernelClient) -> None:
    """Catches a dashboard whose output has nothing for a front end without widgets."""
    outputs = outputs_of(client, "%grain_dashboard")
    bundles = [each["data"] for each in outputs if "data" in each]
    (box,) = [each for each in bundles if "application/vnd.jupyter.widget-view+json" in each]
    assert ".save('report.html')" in box["text/plain"]
    (script,) = [each for each in bundles if "application/javascript" in each]
    assert len(script["application/javascript"]) < 2_000
    outputs_of(client, "%grain_dashboard --close")
