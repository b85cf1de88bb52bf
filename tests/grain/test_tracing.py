"""The trace of a real engine, and the file that Perfetto opens."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from pathlib import Path


def traced_file(lab: gl.GrainManager, tmp_path: Path) -> Path:
    grain = lab.grain('a "quoted" key\n')
    x = grain.allocate(64)
    grain.ping().result()
    with lab.trace() as trace:
        for _ in range(100):
            grain.compute("kernels/Saxpy", inputs=[x, x], outputs=[x], params={"a": 0.5})
        grain.read(x).result()
    assert {each.kernel for each in trace.messages()} == {"kernels/Saxpy", ""}
    return trace.save(tmp_path / "trace.json")


def test_a_real_trace_has_what_was_done_in_the_order_of_the_ring(
    lab: gl.GrainManager, tmp_path: Path
) -> None:
    """Would catch: slices of one worker that overlap, so that a viewer nests them."""
    found = json.loads(traced_file(lab, tmp_path).read_text(encoding="utf-8"))
    assert found["otherData"] == {"driver": lab.driver.label, "messages": 101, "dropped": 0}
    slices = [each for each in found["traceEvents"] if each["ph"] == "X"]
    assert len(slices) == 101
    assert {each["args"]["grain"] for each in slices} == {'a "quoted" key\n'}
    ends = [each["ts"] + each["dur"] for each in slices]
    # To the nanosecond of a float of microseconds.
    assert all(end <= after["ts"] + 1e-3 for end, after in zip(ends, slices[1:], strict=False))


def test_perfetto_parses_it(lab: gl.GrainManager, tmp_path: Path) -> None:
    """Would catch: a file that is JSON and no trace.

    The wheel `perfetto` holds no trace processor, only what downloads one: the binary has to be
    there, on the path or named by PERFETTO_TRACE_PROCESSOR.
    """
    binary = os.environ.get("PERFETTO_TRACE_PROCESSOR") or shutil.which("trace_processor_shell")
    if binary is None:
        pytest.skip("no trace_processor_shell: put it on PATH; the wheel 'perfetto' has none")
    processor = pytest.importorskip("perfetto.trace_processor")
    config = processor.TraceProcessorConfig(bin_path=binary)
    with processor.TraceProcessor(trace=str(traced_file(lab, tmp_path)), config=config) as parsed:
        (row,) = parsed.query("select count(*) as n from slice where category = 'Compute'")
        assert row.n == 100


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    lab: gl.GrainManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: half a trace in place of the last good one, or a rest beside it."""
    written = traced_file(lab, tmp_path)
    before = written.read_bytes()

    def full(*_args: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with lab.trace() as trace, pytest.raises(OSError, match="No space"):
        trace.save(written)
    assert written.read_bytes() == before
    assert list(tmp_path.iterdir()) == [written]


def test_names_survive_the_manager_and_the_kernel(lab: gl.GrainManager) -> None:
    """Would catch: words that are looked up in what is gone."""
    grain = lab.grain("scores")
    x = grain.allocate(4)

    @gl.kernel
    def halve(i: int, x: Any) -> None:
        x[i] = 0.5 * x[i]

    grain.ping().result()
    trace = lab.trace()
    grain.compute(halve, outputs=[x]).result()
    del halve
    lab.close()
    assert [(each.grain, each.kernel) for each in trace.messages()] == [("scores", "halve")]
    with pytest.raises(gl.RingClosed):
        lab.trace()


def test_a_larger_trace_keeps_the_rows_of_a_smaller_one(lab: gl.GrainManager) -> None:
    """Would catch: rows lost, or in another order, when the engine's ring grows and shrinks."""
    grain = lab.grain()
    with lab.trace(8) as small:
        for _ in range(11):
            grain.ping().result()
        before = [each.request for each in small.messages()]
        with lab.trace(1000):
            assert [each.request for each in small.messages()] == before
            for _ in range(3):
                grain.ping().result()
        assert [each.request for each in small.messages()][:5] == before[3:]
        assert len(small) == 8
