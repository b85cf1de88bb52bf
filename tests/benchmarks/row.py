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
        What the project promises itself; empty where it promises nothing.
    met
        Whether the figure keeps it; None where nothing is promised.
    winner, factor
        Who was fastest, and by how much: over the next one if that is us, over us if not. None
        where nothing is compared.
    figures
        Everything measured, with units in the names.
    """

    what: str
    measured: str
    wanted: str = ""
    met: bool | None = None
    winner: str | None = None
    factor: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)
