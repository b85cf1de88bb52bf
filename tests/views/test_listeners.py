"""Front ends come, go, are killed: who is told, and what is left behind."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from gpures_lab.views.comms import targets, telemetry
from gpures_lab.views.comms.targets import Targets
from tests.views.comms import FakeComm, message
from tests.views.front_end import FrontEnd


def test_two_front_ends_each_get_their_rate(ours: Targets) -> None:
    """Would catch: a slow browser that makes the other one slow, or is flooded by it."""
    fast, slow = FrontEnd(ours, "fast"), FrontEnd(ours, "slow")
    fast.ask(op="configure", rate_hz=10)
    slow.ask(op="configure", rate_hz=1)
    fast.telemetry.wait_for(lambda: len(fast.telemetry.of("tick")) >= 12)
    assert 1 <= len(slow.telemetry.of("tick")) <= len(fast.telemetry.of("tick")) // 2


def test_a_broken_socket_ends_one_listener_alone(ours: Targets) -> None:
    first, second = FrontEnd(ours, "first"), FrontEnd(ours, "second")
    first.telemetry.broken = True
    before = len(second.telemetry.sent)
    second.telemetry.wait_for(lambda: len(second.telemetry.sent) > before + 1)
    assert ours.telemetry.listeners == 1


def test_nothing_is_left_when_the_last_front_end_goes(ours: Targets) -> None:
    """Would catch: a thread that samples a kernel nobody looks at."""
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    (thread,) = (t for t in threading.enumerate() if t.name == "gpures_lab telemetry")
    front.telemetry.closing({})
    front.control.closing({})
    thread.join(30)
    assert not thread.is_alive()
    assert ours.telemetry.listeners == 0
    assert (ours._comms, ours._heard_s) == ({}, {})


def test_a_reload_replaces_and_the_late_close_of_the_old_comm_does_no_harm(ours: Targets) -> None:
    """Would catch: comm_close of the page before, handled after the open of the page after."""
    old, new = FrontEnd(ours, "same"), FrontEnd(ours, "same")
    old.telemetry.closing({})
    before = len(new.telemetry.sent)
    new.telemetry.wait_for(lambda: len(new.telemetry.sent) > before)


def test_a_front_end_that_was_killed_is_forgotten(
    ours: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: frames sent for ever to a browser that closed without a word."""
    monkeypatch.setattr(targets, "LEASE_S", 0.05)
    monkeypatch.setattr(targets, "GRACE_S", 0.01)
    comms = FakeComm(), FakeComm()

    async def life() -> None:
        ours.open_telemetry(comms[0], message(client="killed"))
        ours.open_control(comms[1], message(client="killed"))
        gone = asyncio.Event()
        comms[1].close = gone.set  # type: ignore[method-assign]
        async with asyncio.timeout(30):
            await gone.wait()

    # On a thread of its own: pytest's may have a loop already, that of a browser.
    thread = threading.Thread(target=asyncio.run, args=(life(),))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert ours.telemetry.listeners == 0


def test_one_that_speaks_is_not(ours: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a lease that runs out while the front end is there."""
    monkeypatch.setattr(targets, "LEASE_S", 0.05)
    monkeypatch.setattr(targets, "GRACE_S", 0.01)
    front = FakeComm()
    now = [0.0]
    monkeypatch.setattr(targets.time, "monotonic", lambda: now[0])
    looks: list[float] = []
    monkeypatch.setattr(targets, "_later", lambda seconds, call, client: looks.append(seconds))
    ours.open_control(front, message(client="here"))
    for _ in range(5):
        now[0] += 0.04
        front.heard(message(op="alive", id="a"))
        ours._expire("here")
    assert not front.closed
    assert looks == [pytest.approx(0.05)] * 6  # a whole lease each time, never the grace


def test_an_open_without_a_client_is_refused(ours: Targets) -> None:
    with pytest.raises(ValueError, match="1 to 64 characters"):
        ours.open_telemetry(FakeComm(), message(client=""))


def test_ten_thousand_grains_slow_the_sampler_and_not_the_kernel(ours: Targets) -> None:
    """Would catch: a sampler that takes a whole core because a look takes a tenth of a second."""
    now = [100.0]
    told = telemetry.Telemetry(ours.telemetry.sampling, clock=lambda: now[0])
    comm = FakeComm()
    monkey = told.sampling.take

    def slow() -> Any:
        now[0] += 0.1
        return monkey()

    told.sampling.take = slow  # type: ignore[method-assign]
    told._listeners["one"] = telemetry._Listener(comm, 10.0)
    assert told._tick()
    assert told._listeners["one"].due_s == pytest.approx(100 + 0.1 / 0.05)
    assert told._tick()
    assert len(comm.sent) == 1
