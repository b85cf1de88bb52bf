"""One measured figure beside what it is compared with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    what
        The question, in a few words.
    measured
        The figure as people read it.
    wanted
        What the project promises itself.
    met
        Whether the figure keeps it.
    figures
        Everything measured, with units in the names.
    """

    what: str
    measured: str
    wanted: str
    met: bool
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)
