"""The history as a pandas DataFrame."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from gpures_lab.metrics.resident_memory import ResidentMemoryMetrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gpures_lab.metrics.sampler import Sample

__all__ = ["metrics_frame"]


def metrics_frame(history: Sequence[Sample]) -> pd.DataFrame:
    """One row a sample, one column a metric, indexed by the time it was taken (UTC).

    Figures that were not measured are missing values, never zero.

    Raises
    ------
    ModuleNotFoundError
        pandas is not installed; the message names the extra that brings it.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "metrics_frame() needs pandas: pip install 'gpures_lab[jupyter]'", name="pandas"
        ) from error
    names = [field.name for field in fields(ResidentMemoryMetrics)]
    columns = {name: [getattr(sample.metrics, name) for sample in history] for name in names}
    index = pd.DatetimeIndex([sample.taken_at for sample in history], tz="UTC", name="taken_at")
    frame = pd.DataFrame(columns, index=index, columns=names)
    # A window in which nothing was measured gives None: an object column, which cannot be drawn.
    unmeasured = [
        field.name for field in fields(ResidentMemoryMetrics) if "None" in str(field.type)
    ]
    return frame.astype(dict.fromkeys(unmeasured, "float64"))
