"""One definition of each figure; each takes the shared source and a palette.

Each module has one function that returns a Bokeh model, and builds nothing at import.
"""

from gpures_lab.views.figures.kernels import kernels_figure
from gpures_lab.views.figures.latency import latency_figure
from gpures_lab.views.figures.pool import pool_figure
from gpures_lab.views.figures.timeline import timeline_figure
from gpures_lab.views.figures.traffic import queue_figure, throughput_figure

__all__ = [
    "kernels_figure",
    "latency_figure",
    "pool_figure",
    "queue_figure",
    "throughput_figure",
    "timeline_figure",
]
