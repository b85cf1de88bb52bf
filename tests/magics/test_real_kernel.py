"""The magics in a kernel of its own, over the wire, as a notebook uses them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client import BlockingKernelClient


@pytest.fixture(scope="module")
def client() -> Iterator[BlockingKernelClient]:
    """Return a client of a fresh kernel with the extension."""
    manager, found = start_new_kernel(startup_timeout=2 * LIMIT_S)
    try:
        outputs_of(found, f"import sys; sys.path[:0] = {sys.path!r}\n%load_ext gpures_lab")
        yield found
    finally:
        found.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


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
