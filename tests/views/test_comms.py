"""The kernel's side of the two comms, over comms without a kernel: ticks, commands, bad input."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import gpures_lab as gl
from gpures_lab.views.comms import sampling
from gpures_lab.views.comms.commands import Command
from gpures_lab.views.comms.targets import Targets
from tests.views.front_end import FrontEnd


def test_hello_comes_first_on_both(ours: Targets) -> None:
    """Would catch: a tick from the sampler's thread before the front end knows the protocol."""
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    assert front.telemetry.sent[0]["kind"] == "hello"
    assert front.control.sent[0]["kind"] == "hello"
    assert front.control.sent[0]["protocol"] == [1, 0]


def test_only_the_handler_ever_sends_on_control(ours: Targets, lab: gl.GrainManager) -> None:
    """Would catch: an outcome sent on control, after which 7.4 serves it behind the cell."""
    lab.grain("a").ping().result()
    front = FrontEnd(ours)
    for _ in range(3):
        front.ask(op="command", what="park")
    front.telemetry.wait_for(
        lambda: any(len(each["outcomes"]) == 3 for each in front.telemetry.of("tick"))
    )
    assert front.control.senders == {threading.get_ident()}
    assert threading.get_ident() in front.telemetry.senders  # hello alone


def test_ticks_are_numbered_and_carry_the_grains(ours: Targets, lab: gl.GrainManager) -> None:
    lab.grain("a").ping().result()
    front = FrontEnd(ours)
    front.ask(op="configure", rate_hz=10)
    front.telemetry.wait_for(lambda: len(front.telemetry.of("tick")) >= 3)
    ticks = front.telemetry.of("tick")
    numbers = [each["seq"] for each in ticks]
    assert numbers == sorted(set(numbers))
    assert ticks[-1]["busiest"][0][0] == "a"
    assert ticks[-1]["driver"] == lab.driver.label


def test_without_a_manager_it_says_idle_and_starts_none(
    ours: Targets, lab: gl.GrainManager
) -> None:
    """Would catch: an open sidebar that starts an engine in every notebook."""
    lab.close()
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("idle"))
    assert front.query("grains")["rows"] == []
    assert "no manager" in _outcome(front, front.ask(op="command", what="park"))["text"]


def test_a_new_manager_is_followed(
    ours: Targets, lab: gl.GrainManager, make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a sidebar that shows the manager before the last for ever."""
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    lab.close()
    other = make_lab("slots4")
    other.grain("other").ping().result()
    monkeypatch.setattr(sampling, "open_manager", lambda: other)
    front.telemetry.wait_for(
        lambda: any(row[0] == "other" for each in front.telemetry.of("tick")
                    for row in each["busiest"])
    )  # fmt: skip


def _outcome(front: FrontEnd, ack: dict[str, Any]) -> dict[str, Any]:
    assert ack["kind"] == "ack", ack

    def found() -> list[dict[str, Any]]:
        return [
            outcome
            for frame in list(front.telemetry.sent)
            for outcome in frame.get("outcomes", ())
            if outcome["id"] == ack["id"]
        ]

    front.telemetry.wait_for(found)
    return found()[0]


def test_park_is_acknowledged_and_its_outcome_told(ours: Targets, lab: gl.GrainManager) -> None:
    lab.grain("a").ping().result()
    front = FrontEnd(ours)
    ack = front.ask(op="command", what="park")
    assert ack["new"] is True
    assert _outcome(front, ack) == {"id": ack["id"], "what": "park", "ok": True, "text": "parked"}
    assert lab.metrics().engine_state == "PARKED"


def test_a_command_begins_once_it_is_acknowledged(
    ours: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: an acknowledgement that waits, beside a busy cell, for a thread to start."""
    front = FrontEnd(ours)
    acknowledged: list[int] = []
    begin = ours.telemetry.commands.begin

    def begun(command: Command) -> None:
        acknowledged.append(len(front.control.of("ack")))
        begin(command)

    monkeypatch.setattr(ours.telemetry.commands, "begin", begun)
    ack = front.ask(op="command", what="park")
    assert _outcome(front, ack)["ok"] is True
    assert acknowledged == [1]


def test_a_command_sent_again_is_not_done_again(ours: Targets, lab: gl.GrainManager) -> None:
    """Would catch: a release repeated after a reconnect, on memory allocated since."""
    grain = lab.grain("a")
    grain.allocate(16, name="x")
    front = FrontEnd(ours)
    first = front.ask(op="command", what="release", grain="a", id="same")
    assert _outcome(front, first)["text"] == "1 allocation released"
    kept = grain.allocate(16, name="y")
    again = front.ask(op="command", what="release", grain="a", id="same")
    assert (first["new"], again["new"]) == (True, False)
    assert not kept.released


def test_park_is_not_kept_waiting_by_a_grain_that_is_held(
    ours: Targets, lab: gl.GrainManager
) -> None:
    """Would catch: one queue for all commands, and a borrowed grain at its head."""
    grain = lab.grain("held")
    handle = grain.allocate(16)
    grain.barrier().result()
    front = FrontEnd(ours)
    with grain.borrow(handle):
        front.ask(op="command", what="release", grain="held")
        assert _outcome(front, front.ask(op="command", what="park"))["ok"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"op": "command", "what": "format_disk"}, "is unknown; use one of park"),
        ({"op": "command", "what": ["park"]}, "is unknown"),
        ({"op": "command", "what": "release", "grain": 7}, "is no key"),
        ({"op": "dance"}, "is unknown; use one of query, command"),
        ({}, "is unknown"),
        ({"op": "query", "what": "secrets"}, "is unknown; use one of grains"),
        ({"op": "query", "what": "grains", "count": 10**9}, "give 1 to 1000"),
        ({"op": "query", "what": "grains", "offset": -1}, "out of range"),
        ({"op": "query", "what": "grains", "sort": "__class__"}, "is unknown"),
        ({"op": "query", "what": "grains", "filter": "x" * 10_000}, "512"),
        ({"op": "query", "what": "handles", "grain": None}, "is not in this kernel"),
        ({"op": "query", "what": "figure", "name": "rm"}, "is unknown; use one of pool"),
        ({"op": "query", "what": "figure", "name": "pool", "theme": "red"}, "'light' or 'dark'"),
        ({"op": "configure", "rate_hz": 0}, "give 1 to 10"),
        ({"op": "configure", "rate_hz": 10_000}, "give 1 to 10"),
        ({"op": "configure", "rate_hz": float("nan")}, "give 1 to 10"),
        ({"op": "configure", "window_s": True}, "give 0.1 to 300"),
    ],
)
def test_bad_input_gets_an_error_and_the_comm_goes_on(
    ours: Targets, data: dict[str, Any], said: str
) -> None:
    """Would catch: an exception that ipykernel logs while the front end waits for ever."""
    front = FrontEnd(ours)
    answer = front.ask(**data)
    assert answer["kind"] == "error"
    assert said in answer["text"]
    assert front.ask(op="alive")["kind"] == "ack"


def test_a_failure_of_our_own_is_told_too(ours: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a bug that ipykernel logs where nobody looks, while the front end waits."""

    def fail(*_: object) -> object:
        raise ZeroDivisionError("a bug")

    front = FrontEnd(ours)
    monkeypatch.setattr("gpures_lab.views.comms.control.answer", fail)
    answer = front.ask(op="query", what="grains")
    assert answer["text"] == "the kernel failed: ZeroDivisionError: a bug"


@pytest.mark.parametrize("request_id", [None, "", 7, "x" * 65])
def test_a_message_without_an_id_is_refused(ours: Targets, request_id: Any) -> None:
    front = FrontEnd(ours)
    answer = front.ask(op="alive", id=request_id)
    assert (answer["kind"], answer["id"]) == ("error", None)


@pytest.mark.parametrize("broken", [{}, {"content": {}}, {"content": {"data": [1]}}])
def test_what_is_no_message_at_all_is_refused(ours: Targets, broken: Any) -> None:
    front = FrontEnd(ours)
    front.control.heard(broken)
    assert front.control.sent[-1]["kind"] == "error"
