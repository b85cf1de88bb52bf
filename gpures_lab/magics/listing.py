"""The table of ``%grain_list``, as text and as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gpures_lab.grain.text import table_html
from gpures_lab.metrics.units import bytes_text, plural

if TYPE_CHECKING:
    from gpures_lab.grain import Grain

__all__ = ["Listing"]

_HEAD = ("name", "dtype", "shape", "size", "memory")


@dataclass(frozen=True, slots=True)
class Listing:
    """A grain's key and one row an allocation, oldest first."""

    key: str
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, grain: Grain) -> Self:
        """What the grain holds now."""
        rows = tuple(
            (name, str(each.dtype), str(each.shape), bytes_text(each.nbytes), each.memory_type)
            for name, each in grain.handles.items()
        )
        return cls(grain.key, rows)

    @property
    def _title(self) -> str:
        return f"grain {self.key!r}: {plural(len(self.rows), 'allocation')}"

    def __repr__(self) -> str:
        title = self._title
        if not self.rows:
            return title
        table = (_HEAD, *self.rows)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
        return "\n".join([title, *lines])

    def _repr_html_(self) -> str:
        return table_html(self._title, _HEAD, self.rows)
