"""The kernel's side of the two comms, over comms without a kernel."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.views.comms import commands, sampling, targets, telemetry
from gpures_lab.views.comms.targets import Targets
from tests.views.comms import FakeComm, message

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = "<img src=x onerror=alert(1)>"


class FrontEnd:
    """One front end with both comms open."""

    def __init__(self, ours: Targets, client: str = "one") -> None:
        self.telemetry, self.control = FakeComm(), FakeComm()
        self._numbers = 0
        self.client = client
        ours.open_telemetry(self.telemetry, message(client=client))
        ours.open_control(self.control, message(client=client))

    def ask(self, **data: Any) -> dict[str, Any]:
        """Send on control; the answer is there when the handler returns."""
        self._numbers += 1
        before = len(self.control.sent)
        self.control.heard(message(**{"id": f"r{self._numbers}", **data}))
        return self.control.sent[before]

    def query(self, what: str, **data: Any) -> Any:
        self.control.buffers.clear()
        answer = self.ask(op="query", what=what, **data)
        assert answer["kind"] == "chunk", answer
        return json.loads(b"".join(self.control.buffers))


def _in_a_loop() -> bool:
    """Leases run out in a loop; most tests here have none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.fixture
def ours(lab: gl.GrainManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Targets]:
    """Targets of a kernel whose only manager is ``lab``."""
    for module in (sampling, commands):
        monkeypatch.setattr(module, "open_manager", lambda: None if lab.closed else lab)
    later = targets._later
    monkeypatch.setattr(targets, "_later", lambda *call: _in_a_loop() and later(*call))
    made = Targets()
    yield made
    made.close()


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


def test_a_command_sent_again_is_not_done_again(ours: Targets, lab: gl.GrainManager) -> None:
    """Would catch: a release repeated after a reconnect, on memory allocated since."""
    grain = lab.grain("a")
    grain.allocate(16, name="x")
    front = FrontEnd(ours)
    first = front.ask(op="command", what="release", grain="a", id="same")
    assert _outcome(front, first)["text"] == "1 allocations released"
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


def test_a_page_of_grains_sorted_and_filtered(ours: Targets, lab: gl.GrainManager) -> None:
    for number in range(30):
        grain = lab.grain(f"Grain {number:02}")
        grain.allocate(8 * (number + 1), name="x")
        grain.barrier().result()
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    page = front.query("grains", offset=1, count=2, sort="bytes", descending=True)
    assert [row[0] for row in page["rows"]] == ["Grain 28", "Grain 27"]
    assert (page["matching"], page["total"]) == (30, 30)
    page = front.query("grains", sort="key", descending=False, filter="grain 1")
    assert [row[0] for row in page["rows"]] == [f"Grain {number}" for number in range(10, 20)]


def test_handles_of_a_grain(ours: Targets, lab: gl.GrainManager) -> None:
    grain = lab.grain(HOSTILE)
    grain.allocate((4, 8), dtype=np.int16, name="x")
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    found = front.query("handles", grain=HOSTILE)
    assert found["handles"] == [["x", "int16", [4, 8], 64, "device"]]


def test_history_is_columns_of_equal_length(ours: Targets) -> None:
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    columns = front.query("history")["columns"]
    assert {len(each) for each in columns.values()} == {len(columns["time"])}
    assert len(columns["time"]) >= 1


def test_figures_are_documents_of_one_named_source(ours: Targets) -> None:
    """Would catch: a document in which the front end finds nothing to stream into."""
    pytest.importorskip("bokeh")
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    for name in ("pool", "throughput", "latency", "queue", "kernels", "timeline"):
        text = json.dumps(front.query("figure", name=name, theme="dark"))
        assert "gpures_lab.rows" in text
        assert "host (CPU threads)" in text


def test_messages_are_traced_while_the_timeline_is_looked_at(
    ours: Targets, lab: gl.GrainManager
) -> None:
    """Would catch: a trace that every message pays for, long after the chart was closed."""
    now = [0.0]
    tracing = ours.telemetry.sampling.tracing
    tracing._clock = lambda: now[0]
    front = FrontEnd(ours)
    front.telemetry.wait_for(lambda: front.telemetry.of("tick"))
    front.query("timeline")
    for _ in range(3):
        lab.grain("traced").ping().result()
    found = front.query("timeline")
    assert found["lanes"] == ["traced"]
    assert len(found["columns"]["done"]) >= 1  # it draws the last stretch without a pause
    assert lab._recorder._open
    now[0] += 6
    tracing.sweep()
    assert not lab._recorder._open
    front.query("timeline")
    front.telemetry.closing({})
    assert not lab._recorder._open


def test_the_kernels_own_bokehjs(ours: Targets) -> None:
    """Would catch: a copy that does not unpack to what is installed."""
    import base64
    import gzip
    from pathlib import Path

    bokeh = pytest.importorskip("bokeh")
    from bokeh.util.paths import bokehjs_path

    found = FrontEnd(ours).query("bokehjs")
    script = (Path(bokehjs_path()) / "js" / "bokeh.min.js").read_bytes()
    assert gzip.decompress(base64.b64decode(found["gzip"])) == script
    assert found["version"] == bokeh.__version__


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
