"""Offering the comm targets to a shell."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("comm")

from gpures_lab.magics import comms

if TYPE_CHECKING:
    from collections.abc import Callable


class Manager:
    """What of a kernel's comm manager is used."""

    def __init__(self) -> None:
        self.targets: dict[str, Callable[..., None]] = {}
        self.comms: dict[str, Any] = {}

    def register_target(self, name: str, call: Callable[..., None]) -> None:
        self.targets[name] = call

    def register_comm(self, comm: Any) -> None:
        self.comms[comm.comm_id] = comm


def test_two_comms_opened_at_once_share_one_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: each subshell's thread making its own, and control looking at an empty one."""
    from gpures_lab.views.comms import targets

    both = threading.Barrier(2)
    made: list[object] = []
    told: list[object] = []

    class Slow:
        def __init__(self) -> None:
            made.append(self)
            arrived.wait(0.2)  # the other thread asks meanwhile

        def open_telemetry(self, *_: object) -> None:
            told.append(self)

        open_control = open_telemetry

        def close(self) -> None:
            """Nothing to close."""

    arrived = threading.Event()
    monkeypatch.setattr(targets, "Targets", Slow)
    manager = Manager()
    shell = SimpleNamespace(kernel=SimpleNamespace(comm_manager=manager))
    comms.withdraw_comms(shell)
    comms.offer_comms(shell)

    def opened(name: str) -> None:
        both.wait(30)
        manager.targets[name](None, None)

    threads = [
        threading.Thread(target=opened, args=(name,))
        for name in ("gpures_lab.telemetry", "gpures_lab.control")
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(made) == 1
    assert told == made * 2
    comms.withdraw_comms(shell)
    assert manager.targets == manager.comms == {}


def test_a_terminal_has_no_comms() -> None:
    comms.offer_comms(SimpleNamespace())
    comms.withdraw_comms(SimpleNamespace())
