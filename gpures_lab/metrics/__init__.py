"""What the engine counted, as values, text, history, tables and exports.

``snapshot`` (typed reading) → ``resident_memory`` (the figures; ``histogram`` for percentiles,
``report`` and ``units`` for print) → ``sampler`` (history) → ``frame``, ``prometheus`` (exports,
named in ``names``), ``server``; ``trace`` (single messages) → ``chrome`` (their file). Nothing here
knows an engine: all are handed a snapshot or a callable.
"""

from gpures_lab.metrics.frame import metrics_frame
from gpures_lab.metrics.prometheus import prometheus_text
from gpures_lab.metrics.resident_memory import ResidentMemoryMetrics, from_snapshot
from gpures_lab.metrics.sampler import Sample, Sampler
from gpures_lab.metrics.server import MetricsServer
from gpures_lab.metrics.trace import Recorder, Trace, TracedMessage

__all__ = [
    "MetricsServer",
    "Recorder",
    "ResidentMemoryMetrics",
    "Sample",
    "Sampler",
    "Trace",
    "TracedMessage",
    "from_snapshot",
    "metrics_frame",
    "prometheus_text",
]
