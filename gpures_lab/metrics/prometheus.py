"""Metrics in Prometheus' text format, by prometheus-client's own registry and writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from gpures_lab.metrics.names import BUILD_INFO, LATENCY, METRICS, QUANTILES
from gpures_lab.metrics.snapshot import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from gpures_lab.metrics.resident_memory import ResidentMemoryMetrics

__all__ = ["MetricsCollector", "MetricsSource", "prometheus_text", "registry"]

_NS_PER_S: Final = 1e9


class MetricsSource(Protocol):
    """Anything with metrics: a manager or a grain."""

    def metrics(self) -> ResidentMemoryMetrics:
        """Return the figures of now."""
        ...


class MetricsCollector:
    """Hands a source's figures to prometheus-client at each scrape; stores nothing.

    Parameters
    ----------
    source
        Its figures become series with an empty ``grain`` label.
    grains
        More sources by grain key; what a grain has of its own becomes a series with
        ``grain="key"``.
    """

    def __init__(
        self, source: MetricsSource, *, grains: Mapping[str, MetricsSource] | None = None
    ) -> None:
        _require_client()
        self._source = source
        self._grains = dict(grains or {})

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, all from one snapshot of each source."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        if getattr(self._source, "closed", False):
            return  # figures that no longer move would look alive
        rows = [("", self._source.metrics())]
        rows += [(key, source.metrics()) for key, source in self._grains.items()]
        for name in METRICS:
            family = CounterMetricFamily if name.kind == "counter" else GaugeMetricFamily
            metric = family(name.name, name.help, labels=["grain"])
            for key, metrics in rows if name.by_grain else rows[:1]:
                metric.add_metric([key], float(getattr(metrics, name.field)))
            yield metric
        latency = GaugeMetricFamily(
            LATENCY,
            "Time of a message by stage; an upper bound, at most 12.5 % high",
            labels=["grain", "stage", "quantile"],
        )
        for key, metrics in rows:
            for stage in STAGES:
                for quantile, suffix in QUANTILES:
                    value_ns = getattr(metrics, f"{stage}_{suffix}_ns")
                    if value_ns is not None:  # a series that was not measured is left out
                        latency.add_metric([key, stage, quantile], value_ns / _NS_PER_S)
        yield latency
        info = GaugeMetricFamily(
            BUILD_INFO,
            "What the messages run on",
            labels=["driver", "device_type", "device_name", "state"],
        )
        own = rows[0][1]
        info.add_metric([own.driver, own.device_type, own.device_name, own.engine_state], 1.0)
        yield info


def registry(
    source: MetricsSource, *, grains: Mapping[str, MetricsSource] | None = None
) -> CollectorRegistry:
    """Return a registry of our own: the process-wide one belongs to the user."""
    _require_client()
    from prometheus_client import CollectorRegistry

    own = CollectorRegistry(auto_describe=False)
    own.register(MetricsCollector(source, grains=grains))
    return own


def prometheus_text(
    source: MetricsSource, *, grains: Mapping[str, MetricsSource] | None = None
) -> str:
    """Return the figures of now in Prometheus' text format.

    Parameters
    ----------
    source
        A manager, or anything else with ``metrics()``.
    grains
        Sources by grain key: what they have of their own (messages, allocations, service times),
        under the label ``grain``; keys are escaped.

    Raises
    ------
    ModuleNotFoundError
        prometheus-client is not installed; the message names the extra that brings it.
    """
    _require_client()
    from prometheus_client import generate_latest

    text: bytes = generate_latest(registry(source, grains=grains))
    return text.decode()


def _require_client() -> None:
    try:
        import prometheus_client  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "exporting metrics needs prometheus-client: pip install 'gpures_lab[jupyter]'",
            name="prometheus_client",
        ) from error
