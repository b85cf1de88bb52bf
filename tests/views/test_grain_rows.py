"""Rates and percentiles of single grains, over the window."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from gpures_lab.metrics.histogram import of_grain, percentile
from gpures_lab.views.comms.grain_rows import ROW_FIELDS, GrainRow, GrainRows

if TYPE_CHECKING:
    import gpures_lab as gl

S = 1_000_000_000


def test_the_fields_are_named_in_their_order() -> None:
    """Would catch: a value sent under another field's name."""
    assert tuple(each.name for each in dataclasses.fields(GrainRow)) == ROW_FIELDS


def test_percentiles_are_of_the_window_and_none_without_messages(lab: gl.GrainManager) -> None:
    """Would catch: percentiles since the start, in which yesterday's hides today's stall."""
    grain, rows = lab.grain("a"), GrainRows(window_s=2)
    x = grain.allocate(300_000)
    grain.compute("kernels/Sqrt", inputs=[x], outputs=[x]).result(30)
    (first,) = rows.take(lab.grains, 0)
    assert (first.rate, first.service_p50_ns, first.service_p99_ns) == (None, None, None)
    before, slow, _ = grain._service(None)
    for _ in range(20):
        grain.ping().result(30)
    (second,) = rows.take(lab.grains, S)
    since = of_grain(grain._service(None)[0]) - of_grain(before)
    assert second.rate == 20
    assert (second.service_p50_ns, second.service_p99_ns) == (
        percentile(since, 50),
        percentile(since, 99),
    )
    assert slow is not None
    for now_s in (2, 3, 4):
        (row,) = rows.take(lab.grains, now_s * S)
    assert (row.rate, row.mean_ns, row.service_p50_ns) == (0, None, None)


def test_a_grain_made_within_the_window_counts_from_its_first_message(
    lab: gl.GrainManager,
) -> None:
    """Would catch: a new grain without a rate until a whole window has passed."""
    rows = GrainRows(window_s=2)
    rows.take(lab.grains, 0)
    lab.grain("new").ping().result(30)
    (row,) = rows.take(lab.grains, S)
    assert row.rate == 1
    assert row.service_p50_ns is not None
