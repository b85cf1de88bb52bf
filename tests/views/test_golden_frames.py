"""The golden frames: one file that Python writes and TypeScript reads in its own tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpures_lab.views.comms import hello, targets
from gpures_lab.views.comms.commands import Outcome
from gpures_lab.views.comms.control import Control, chunks
from gpures_lab.views.comms.grain_rows import ROW_FIELDS
from gpures_lab.views.comms.protocol import PROTOCOL, encoded
from gpures_lab.views.comms.sampling import Sampling
from gpures_lab.views.comms.telemetry import Telemetry
from gpures_lab.views.comms.ticks import idle_frame, tick_frame
from gpures_lab.views.readings import COLUMNS
from tests.views.comms import FakeComm, grain_row, look, message

GOLDEN = Path(__file__).parent / "golden" / "frames.json"
HOSTILE = "<img src=x onerror=alert(1)>"


def frames(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Every kind of frame, made by the code that makes them in a kernel."""
    monkeypatch.setattr(hello, "_version", {"gpures_lab": "0.1.0", "bokeh": "3.9.2"}.get)
    monkeypatch.setattr(hello, "commands", lambda: list(hello.COMMANDS))
    monkeypatch.setattr(hello, "INCARNATION", "0123456789abcdef")
    monkeypatch.setattr(hello, "open_manager", lambda: None)
    outcomes = [Outcome(id="c1", what="park", ok=True, text="parked", at_s=0)]
    seen = look(grain_row("scores"), grain_row(HOSTILE, 2))
    comm = FakeComm()
    sampling = Sampling(5)
    sampling.latest = seen
    control = Control("client", comm, Telemetry(sampling))
    control.handle(message(op="alive", id="a1"))
    control.handle(message(op="query", id="q1", what="grains", sort="key", descending=False))
    control.handle(message(op="nonsense", id="x1"))
    (error,), (ack,), (chunk,) = (comm.of(kind) for kind in ("error", "ack", "chunk"))
    return {
        "columns": list(COLUMNS),
        "row_fields": list(ROW_FIELDS),
        "hello": hello.hello(subshell=True),
        "idle": idle_frame(1),
        "tick": tick_frame(2, seen, outcomes),
        "ack": ack,
        "error": error,
        "chunk": chunk,
        "grains": json.loads(comm.buffers[0]),
    }


def test_python_writes_the_golden_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a field renamed here and not there; the extension would drop every frame."""
    found = json.loads(encoded(frames(monkeypatch)))
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8")), (
        "frames changed: .venv/bin/python -m tests.views.test_golden_frames writes them anew; "
        "extension/src/wire must agree, and a change that is no addition needs a new PROTOCOL"
    )


def test_the_golden_file_speaks_the_present_protocol() -> None:
    """Would catch: a protocol number raised without new golden frames."""
    assert json.loads(GOLDEN.read_text(encoding="utf-8"))["hello"]["protocol"] == list(PROTOCOL)


@pytest.mark.parametrize("key", ["k" * 512, "ключ" * 64, '"\\' * 256, "\x01" * 512])
def test_a_tick_stays_below_its_limit_whatever_the_keys(key: str) -> None:
    """Would catch: 16 keys of 512 bytes, ten times a second, to every front end."""
    many = [grain_row(f"{number}{key}"[:512], number) for number in range(1, 40)]
    outcomes = [Outcome(id=f"c{n}", what="park", ok=True, text="x" * 300, at_s=0) for n in range(4)]
    frame = tick_frame(9, look(*many), outcomes)
    assert len(encoded(frame)) <= 4096
    assert frame["grains"] == 39


def test_the_busiest_come_first() -> None:
    frame = tick_frame(1, look(*(grain_row(f"g{n}", n) for n in (1, 3, 2))))
    assert [row[0] for row in frame["busiest"]] == ["g3", "g2", "g1"]


def test_chunks_join_to_what_was_cut_and_are_bounded() -> None:
    """Would catch: a figure of 200 kB sent as one frame, or a byte lost at a cut."""
    payload = bytes(range(256)) * 1000
    found = list(chunks("q", payload))
    assert b"".join(buffer for _, buffer in found) == payload
    assert max(len(buffer) + len(encoded(frame)) for frame, buffer in found) <= 64 * 1024
    assert [frame["part"] for frame, _ in found] == list(range(len(found)))
    assert {frame["parts"] for frame, _ in found} == {len(found)}


def test_an_empty_answer_is_one_chunk() -> None:
    assert len(list(chunks("q", b""))) == 1


def test_a_lease_is_longer_than_a_few_lost_signs_of_life() -> None:
    assert targets.LEASE_S >= 4 * 10  # the extension says alive every 10 s


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        text = json.dumps(frames(patch), indent=1, ensure_ascii=False)
    GOLDEN.write_text(f"{text}\n", encoding="utf-8")
