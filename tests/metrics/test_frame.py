"""The history as a table."""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gpures_lab.metrics import ResidentMemoryMetrics, Sample, from_snapshot, metrics_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeSnapshot = Callable[..., dict[str, object]]

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_one_row_a_sample_one_column_a_metric(make_snapshot: MakeSnapshot) -> None:
    pandas = pytest.importorskip("pandas")
    history = [
        Sample(
            taken_at=START + timedelta(seconds=second),
            metrics=from_snapshot(make_snapshot(messages_processed=second, parks=second)),
        )
        for second in range(3)
    ]
    frame = metrics_frame(history)
    assert list(frame.columns) == [field.name for field in fields(ResidentMemoryMetrics)]
    assert list(frame["parks"]) == [0, 1, 2]
    assert list(frame.index) == [sample.taken_at for sample in history]
    assert str(frame.index.tz) == "UTC"
    assert pandas.api.types.is_integer_dtype(frame["parks"])


def test_what_was_not_measured_is_missing_and_can_be_drawn(make_snapshot: MakeSnapshot) -> None:
    """Would catch: columns of Python objects, which no plot takes, and zeros that look measured."""
    pytest.importorskip("pandas")
    unmeasured = from_snapshot(make_snapshot())
    frame = metrics_frame([Sample(taken_at=START, metrics=unmeasured)])
    for name in ("messages_per_second", "service_p99_ns", "pool_hit_rate"):
        assert frame[name].dtype == "float64"
        assert frame[name].isna().all()


def test_an_empty_history_gives_an_empty_table() -> None:
    pytest.importorskip("pandas")
    assert metrics_frame([]).shape == (0, len(fields(ResidentMemoryMetrics)))


def test_without_pandas_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gpures_lab\[jupyter\]'"):
        metrics_frame([])
