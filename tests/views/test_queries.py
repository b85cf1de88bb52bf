"""What the control comm answers to questions."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.views.comms.targets import Targets
from tests.views.front_end import FrontEnd

HOSTILE = "<img src=x onerror=alert(1)>"


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
