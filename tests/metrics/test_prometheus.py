"""The export: names are held, keys are escaped, what was not measured is absent."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from gpures_lab.metrics import ResidentMemoryMetrics, from_snapshot, prometheus_text
from gpures_lab.metrics.names import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    MakeSnapshot = Callable[..., dict[str, object]]
    Counted = Callable[[Iterable[int]], NDArray[np.uint64]]

pytest.importorskip("prometheus_client")


class Source:
    """Anything with metrics."""

    def __init__(self, snapshot: dict[str, object]) -> None:
        self.snapshot = snapshot

    def metrics(self) -> ResidentMemoryMetrics:
        return from_snapshot(self.snapshot)


def test_the_exported_names_are_held() -> None:
    """Would catch: a rename that empties everybody's dashboards; a change here is a major one."""
    assert {(name.name, name.kind) for name in METRICS} == {
        ("gpures_allocations_active", "gauge"),
        ("gpures_allocations_bytes", "gauge"),
        ("gpures_failures_unobserved", "gauge"),
        ("gpures_grains_active", "gauge"),
        ("gpures_kernel_cache_kernels", "gauge"),
        ("gpures_messages_failed_total", "counter"),
        ("gpures_messages_held", "gauge"),
        ("gpures_messages_pending", "gauge"),
        ("gpures_messages_processed_total", "counter"),
        ("gpures_parks_total", "counter"),
        ("gpures_pool_evictions_total", "counter"),
        ("gpures_pool_exported_blocks", "gauge"),
        ("gpures_pool_high_water_bytes", "gauge"),
        ("gpures_pool_hits_total", "counter"),
        ("gpures_pool_limit_bytes", "gauge"),
        ("gpures_pool_misses_total", "counter"),
        ("gpures_pool_size_bytes", "gauge"),
        ("gpures_pool_used_bytes", "gauge"),
        ("gpures_relaunches_total", "counter"),
        ("gpures_uptime_seconds", "gauge"),
    }


def test_every_name_reads_a_figure_that_exists() -> None:
    known = {field.name for field in fields(ResidentMemoryMetrics)}
    assert {name.field for name in METRICS} <= known
    assert len({name.field for name in METRICS}) == len(METRICS)


def test_figures_arrive_under_their_names(make_snapshot: MakeSnapshot, counted: Counted) -> None:
    lines = prometheus_text(
        Source(
            make_snapshot(
                messages_processed=42,
                pool_used_bytes=7,
                parks=3,
                service_counts=counted([10] * 100),
            )
        )
    ).splitlines()
    assert 'gpures_messages_processed_total{grain=""} 42.0' in lines
    assert 'gpures_pool_used_bytes{grain=""} 7.0' in lines
    assert 'gpures_parks_total{grain=""} 3.0' in lines
    assert 'gpures_message_latency_seconds{grain="",quantile="0.99",stage="service"} 1e-08' in lines
    assert (
        'gpures_info{device_name="Test CPU @ 3 GHz",device_type="cpu",driver="host",'
        'state="CREATED"} 1.0'
    ) in lines


def test_what_was_not_measured_is_not_exported(make_snapshot: MakeSnapshot) -> None:
    """Would catch: a latency of 0 s, or NaN, before the first message."""
    text = prometheus_text(Source(make_snapshot()))
    assert "gpures_message_latency_seconds{" not in text
    assert "NaN" not in text


def test_the_devices_figures_are_exported_once(make_snapshot: MakeSnapshot) -> None:
    """Would catch: a sum over the series that counts one pool once a grain."""
    one, other = Source(make_snapshot(pool_used_bytes=7)), Source(make_snapshot(pool_used_bytes=7))
    lines = prometheus_text(one, grains={"a": other}).splitlines()
    assert [line for line in lines if line.startswith("gpures_pool_used_bytes")] == [
        'gpures_pool_used_bytes{grain=""} 7.0'
    ]
    assert 'gpures_allocations_bytes{grain="a"} 0.0' in lines


def test_grain_keys_are_escaped(make_snapshot: MakeSnapshot) -> None:
    """Would catch: a key with a quote or a line break that forges another series."""
    key = 'a"b\\c\nd{} 1.0'
    own = Source(make_snapshot())
    text = prometheus_text(own, grains={key: Source(make_snapshot(messages_processed=5))})
    assert 'gpures_messages_processed_total{grain="a\\"b\\\\c\\nd{} 1.0"} 5.0' in text.splitlines()
    parser = pytest.importorskip("prometheus_client.parser")
    keys = {
        sample.labels["grain"]
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "gpures_messages_processed_total"
    }
    assert keys == {"", key}


def test_the_process_wide_registry_is_left_alone(make_snapshot: MakeSnapshot) -> None:
    """Would catch: a second manager failing because the first registered the same names."""
    from prometheus_client import REGISTRY

    before = {family.name for family in REGISTRY.collect()}
    for _ in range(2):
        prometheus_text(Source(make_snapshot()))
    assert {family.name for family in REGISTRY.collect()} == before


def test_without_the_client_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, make_snapshot: MakeSnapshot
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gpures_lab\[jupyter\]'"):
        prometheus_text(Source(make_snapshot()))
