"""The comms in a real kernel: at rest, in a busy cell, with subshells and without.

CI runs the installed ipykernel; `tests/views/ipykernels.py` runs this file against others.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from tests.views.comm_client import LIMIT_S, CommClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client import BlockingKernelClient

manager_module = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")

# Runs until the file that it names exists, so that no test depends on how fast a machine is.
BUSY = """
import pathlib, time
_gate = pathlib.Path({gate!r})
_deadline = time.monotonic() + 60
while not _gate.exists() and time.monotonic() < _deadline:
    g.ping().result()
print('ended')
"""
LOADED = f"""
import sys
sys.path[:0] = {sys.path!r}
%load_ext gpures_lab
import gpures_lab as gl
g = gl.manager().grain('scores')
x = g.allocate(16, name='x')
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[BlockingKernelClient, Any]]:
    """A kernel of the installed ipykernel, with a grain in it."""
    manager, client = manager_module.start_new_kernel(startup_timeout=2 * LIMIT_S)
    try:
        reply = client.execute_interactive(LOADED, timeout=2 * LIMIT_S)
        assert reply["content"]["status"] == "ok", reply["content"]
        info = client.kernel_info(reply=True, timeout=LIMIT_S)["content"]
        yield client, info.get("supported_features", [])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture
def front(kernel: tuple[BlockingKernelClient, Any]) -> Iterator[Callable[[bool], CommClient]]:
    """Return what opens a front end, with subshells or without."""
    client, features = kernel
    opened: list[CommClient] = []

    def open_one(subshells: bool) -> CommClient:
        if subshells and "kernel subshells" not in features:
            pytest.skip("this ipykernel has no subshells")
        opened.append(CommClient(client, subshells=subshells))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.mark.parametrize("subshells", [True, False], ids=["subshells", "no-subshells"])
def test_hello_then_ticks_then_answers(
    front: Callable[[bool], CommClient], subshells: bool
) -> None:
    """Would catch: a target that is not registered, a handler on the wrong loop."""
    one = front(subshells)
    hello = one.wait("control", lambda frame: frame["kind"] == "hello")
    assert hello["subshell"] is subshells
    assert hello["ipykernel"] == version("ipykernel")
    tick = one.wait("telemetry", lambda frame: frame["kind"] == "tick")
    assert tick["busiest"][0][0] == "scores"
    assert one.frames["telemetry"][0]["kind"] == "hello"
    handles = one.query("handles", grain="scores")["handles"]
    assert handles == [["x", "float32", [16], 64, "device"]]
    assert one.ask(op="dance")["kind"] == "error"


def test_park_twice_in_a_busy_cell(front: Callable[[bool], CommClient], tmp_path: Any) -> None:
    """Would catch: any send on control but its handler's; the second press waits for the cell."""
    one = front(True)
    one.wait("telemetry", lambda frame: frame["kind"] == "tick")
    gate = tmp_path / "gate"
    cell = one.run(BUSY.format(gate=str(gate)))
    started = len(one.frames["telemetry"])
    one.wait("telemetry", lambda frame: one.frames["telemetry"].index(frame) > started + 1)
    for _ in range(2):
        ack = one.ask(op="command", what="park")
        assert ack == {"kind": "ack", "id": ack["id"], "new": True}
        one.wait(
            "telemetry",
            lambda frame, ack=ack: any(
                each["id"] == ack["id"] and each["ok"] for each in frame.get("outcomes", ())
            ),
        )
    assert one.query("grains")["rows"][0][0] == "scores"
    assert not gate.exists()  # all of it while the cell runs
    gate.touch()
    assert one.wait_for_cell(cell)["status"] == "ok"


def test_without_subshells_a_command_waits_for_the_cell_and_telemetry_does_not(
    front: Callable[[bool], CommClient], tmp_path: Any
) -> None:
    """Would catch: a front end without subshells that loses its request, or its figures."""
    one = front(False)
    one.wait("telemetry", lambda frame: frame["kind"] == "tick")
    gate = tmp_path / "gate"
    cell = one.run(BUSY.format(gate=str(gate)))
    request = one.send(op="command", what="park")
    before = len(one.frames["telemetry"])
    one.wait("telemetry", lambda frame: one.frames["telemetry"].index(frame) > before + 3)
    assert all(frame.get("id") != request for frame in one.frames["control"])
    gate.touch()
    assert one.wait_for_cell(cell)["status"] == "ok"
    assert one.wait("control", lambda frame: frame.get("id") == request)["kind"] == "ack"


def test_two_front_ends_on_one_kernel(front: Callable[[bool], CommClient]) -> None:
    """Would catch: the second browser taking the first one's telemetry."""
    first, second = front(False), front(False)
    for each in (first, second):
        each.frames["telemetry"].clear()
        each.wait("telemetry", lambda frame: frame["kind"] == "tick")
    # Both read one socket here; each frame goes to the front end whose comm it names.
    assert first.client_id != second.client_id


def test_the_beacon_is_listed_while_the_extension_is_loaded(
    kernel: tuple[BlockingKernelClient, Any],
) -> None:
    """Would catch: a sidebar that never learns of %load_ext, or still believes in it later."""
    client, _ = kernel

    def listed() -> bool:
        client.comm_info(target_name="gpures_lab.beacon")
        while True:
            reply = client.get_shell_msg(timeout=LIMIT_S)
            if reply["msg_type"] == "comm_info_reply":
                return bool(reply["content"]["comms"])

    assert listed()
    client.execute_interactive("%unload_ext gpures_lab", timeout=LIMIT_S)
    assert not listed()
    client.execute_interactive("%load_ext gpures_lab", timeout=LIMIT_S)
    assert listed()
