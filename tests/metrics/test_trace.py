"""The trace: whose rows, how many, in what words, and as which events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.metrics.chrome import chrome_events
from gpures_lab.metrics.trace import ROW, Recorder, TracedMessage, TraceWords


class Source:
    """An engine's rows without an engine."""

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.rows = np.zeros(0, ROW)

    def keep_trace(self, rows: int, /) -> None:
        self.kept.append(rows)

    def read_trace(self, since: int, /) -> tuple[int, bytes]:
        return len(self.rows), self.rows[since:].tobytes()

    def words(self) -> TraceWords:
        return TraceWords({1: "scores"}, {7: "saxpy"}, {6: "Read", 7: "Compute"}, {0: "ok"})

    def add(self, **columns: int) -> None:
        row = np.zeros(1, ROW)
        for name, value in {"grain": 1, "opcode": 7, "kernel": 7, **columns}.items():
            row[name] = value
        self.rows = np.concatenate([self.rows, row])


def message(**values: Any) -> TracedMessage:
    given = {
        "request": 1,
        "operation": "Compute",
        "grain": "scores",
        "kernel": "saxpy",
        "status": "ok",
        "ring": 0,
        "posted_ns": 1_000,
        "taken_ns": 1_500,
        "done_ns": 2_250,
    }
    return TracedMessage(**{**given, **values})


def test_the_engine_keeps_what_the_most_demanding_trace_wants_and_then_nothing() -> None:
    """Would catch: a trace that one reader ends for all, or that goes on for nobody."""
    source = Source()
    recorder = Recorder(source, "host")
    with recorder.start(10) as small:
        large = recorder.start(100)
        large.close()
        large.close()
        assert not small.closed
    assert source.kept == [10, 100, 10, 0]


def test_a_trace_begins_at_its_start_and_keeps_its_own_number() -> None:
    """Would catch: rows of before, or those of another reader's larger ring."""
    source = Source()
    recorder = Recorder(source, "host")
    source.add(request=1)
    trace = recorder.start(2)
    for request in (2, 3, 4):
        source.add(request=request)
    assert [each.request for each in trace.messages()] == [3, 4]
    assert (len(trace), trace.dropped) == (2, 1)
    assert [each.request for each in trace.messages(last=1)] == [4]
    trace.close()
    source.add(request=5)
    assert [each.request for each in trace.messages()] == [3, 4]
    assert repr(trace).startswith("<Trace ended: 2 messages, 1 older ones dropped")


def test_unknown_numbers_have_a_word_and_times_never_run_backwards() -> None:
    """Would catch: a KeyError for a grain that is gone, a slice of negative length."""
    source = Source()
    trace = Recorder(source, "host").start(2)
    source.add(grain=9, opcode=99, kernel=3, status=50, posted_ns=10, taken_ns=8, done_ns=12)
    (found,) = trace.messages()
    assert (found.grain, found.operation, found.kernel) == ("grain 9", "operation 99", "kernel 3")
    assert found.status == "status 50"
    assert (found.posted_ns, found.taken_ns, found.done_ns) == (10, 10, 12)


@pytest.mark.parametrize("rows", [0, -1, 2_000_001, 1.5, True])
def test_a_number_of_rows_out_of_range_is_refused(rows: Any) -> None:
    """Would catch: a trace of nothing, or one that takes the machine's memory."""
    with pytest.raises(gl.InvalidOption, match="keep 1 to 2,000,000 messages"):
        Recorder(Source(), "host").start(rows)


def test_the_events_are_those_of_the_format() -> None:
    """Would catch: nanoseconds where the format has microseconds, a wait that never ends."""
    events = list(chrome_events([message(), message(request=2, kernel="", ring=3)], "host"))
    by_phase: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        assert {"ph", "pid"} <= set(event)
        by_phase.setdefault(event["ph"], []).append(event)
    first, second = by_phase["X"]
    assert (first["name"], first["ts"], first["dur"]) == ("saxpy", 1.5, 0.75)
    assert (second["name"], second["tid"]) == ("Compute", 4)
    assert {e["tid"]: e["args"]["name"] for e in by_phase["M"] if e["name"] == "thread_name"} == {
        1: "ring 0",
        4: "ring 3",
    }
    begun = {(e["cat"], e["id"], e["name"]): e["ts"] for e in by_phase["b"]}
    ended = {(e["cat"], e["id"], e["name"]): e["ts"] for e in by_phase["e"]}
    assert begun.keys() == ended.keys()
    assert all(begun[key] <= ended[key] for key in begun)
    assert [e["args"]["pending"] for e in by_phase["C"]] == [1, 2, 1, 0]
