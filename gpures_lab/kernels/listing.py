"""``gl.library_kernels()``: what the library has, and what each kernel of it takes."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from gpures_lab.errors import UnknownKernel
from gpures_lab.kernels.catalogue import LibraryKernel
from gpures_lab.metrics.units import plural

__all__ = ["KernelListing", "library_kernels"]

_CALL = "grain.compute(name, inputs=[…], outputs=[…], params={…})"
_HEAD = ("name", "computes", "params", "also")
_STYLE = 'style="text-align:left;color:var(--jp-ui-font-color1)"'
_MOST_DTYPES = 24


@dataclass(frozen=True, slots=True, repr=False)
class KernelListing(Sequence[LibraryKernel]):
    """Kernels of the library by name; prints as a table."""

    kernels: tuple[LibraryKernel, ...]

    @overload
    def __getitem__(self, at: int) -> LibraryKernel: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[LibraryKernel, ...]: ...
    def __getitem__(self, at: int | slice) -> LibraryKernel | tuple[LibraryKernel, ...]:
        return self.kernels[at]

    def __len__(self) -> int:
        return len(self.kernels)

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for each in self.kernels:
            yield each.name, each.formula, ", ".join(each.params), ", ".join(each.aliases)

    def _title(self) -> str:
        return f"{plural(len(self.kernels), 'kernel')} of the library: {_CALL}"

    def _dtypes(self) -> str:
        """Of one kernel alone: which dtypes it takes."""
        if len(self.kernels) != 1:
            return ""
        (only,) = self.kernels
        shown = [
            f"{', '.join(each[: only.inputs]) or '()'} → {', '.join(each[only.inputs :])}"
            for each in only.dtypes[:_MOST_DTYPES]
        ]
        more = len(only.dtypes) - len(shown)
        return "dtypes: " + "; ".join([*shown, *([f"and {more} more"] if more else [])])

    def __repr__(self) -> str:
        rows = list(self._rows())
        table = [_HEAD, *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
        dtypes = self._dtypes()
        return "\n".join([self._title(), *lines, *([dtypes] if dtypes else [])])

    def _repr_html_(self) -> str:
        def cells(tag: str, row: Sequence[str]) -> str:
            made = (f"<{tag} {_STYLE}>{html.escape(cell)}</{tag}>" for cell in row)
            return f"<tr>{''.join(made)}</tr>"

        rows = "".join(cells("td", row) for row in self._rows())
        title = f"<caption {_STYLE}>{html.escape(self._title())}</caption>"
        below = f"<div {_STYLE}>{html.escape(self._dtypes())}</div>"
        return f"<table>{title}{cells('th', _HEAD)}{rows}</table>{below}"


def library_kernels(about: str = "") -> KernelListing:
    """List the library's kernels: what each computes, and the params it takes.

    Parameters
    ----------
    about
        Part of a name or of what is computed, in either case; left out, all of them. Of one kernel
        alone the dtypes are listed too.

    Raises
    ------
    UnknownKernel
        None is about that.
    """
    from gpures_lab.kernels.library import library

    library.fill()
    wanted = about.casefold()
    every = sorted(library.catalogue, key=lambda each: each.name)
    exact = [e for e in every if wanted in (n.casefold() for n in (e.name, *e.aliases))]
    found = exact or [
        each
        for each in every
        if wanted in " ".join((each.name, *each.aliases, each.formula)).casefold()
    ]
    if not found:
        raise UnknownKernel(
            f"no kernel of the library is about {about!r}; gl.library_kernels() lists all "
            f"{len(every)}",
            kernel=about,
        )
    return KernelListing(tuple(found))
