"""What the native kernel library offers, as Python data.

Nothing is listed here: names, dtypes, alias patterns and parameters are read from the native
table (``_core/host/library``), one `LibraryRow` for each of its entries.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gpures_lab.errors import DtypeMismatch, InvalidOption, UnknownKernel

__all__ = ["Catalogue", "LibraryKernel", "LibraryRow"]


@dataclass(frozen=True, slots=True)
class LibraryRow:
    """One entry of the native table: an operation for one choice of dtypes and equal handles.

    Attributes
    ----------
    name, aliases
        ``"kernels/Add"``, ``("kernels/VectorAdd",)``.
    formula
        What it computes, arrays named in binding order: ``"z = x + y"``.
    dtypes
        NumPy dtype name of each binding position: inputs, then outputs.
    same
        ``same[p]`` is the first position that holds the same handle as position ``p``.
    inputs
        How many of the positions are inputs.
    params, param_dtypes
        Names, and the dtypes that given scalars are converted to.
    is_map, is_reduction, whole
        As in the native ``Entry``: each index touches only its own element; the space is the
        first input's size; called once over the whole range.
    indices
        1 to 3.
    ndims
        Dimensions that each array must have, 0 where any will do.
    extents
        A letter for each dimension, ``"ik"``: equal letters are equal extents. "" where the array's
        shape has no part in it.
    """

    name: str
    aliases: tuple[str, ...]
    formula: str
    dtypes: tuple[str, ...]
    same: tuple[int, ...]
    inputs: int
    params: tuple[str, ...]
    param_dtypes: tuple[str, ...]
    is_map: bool
    is_reduction: bool
    whole: bool
    indices: int
    ndims: tuple[int, ...]
    extents: tuple[str, ...]

    @property
    def shapes(self) -> str:
        """What shapes it takes, for messages: ``(i, k), (k, j) -> (i, j)``."""
        given = [f"({', '.join(letters)})" if letters else "any" for letters in self.extents]
        return f"{', '.join(given[: self.inputs])} -> {', '.join(given[self.inputs :])}"


@dataclass(frozen=True, slots=True)
class LibraryKernel:
    """An operation with all its rows."""

    name: str
    aliases: tuple[str, ...]
    formula: str
    inputs: int
    outputs: int
    params: tuple[str, ...]
    rows: tuple[LibraryRow, ...]

    @property
    def dtypes(self) -> tuple[tuple[str, ...], ...]:
        """Every accepted choice of dtypes, inputs then outputs, in the native table's order."""
        return tuple(dict.fromkeys(row.dtypes for row in self.rows))

    def row(
        self, dtypes: Sequence[str], same: Sequence[int], ndims: Sequence[int] | None = None
    ) -> LibraryRow:
        """Find the entry for a call; without `ndims` the first of the right dtypes.

        Raises
        ------
        InvalidOption
            The number of arrays or of their dimensions is wrong, or a handle stands where it may
            not be repeated.
        DtypeMismatch
            The operation does not exist for these dtypes.
        """
        if len(dtypes) != self.inputs + self.outputs:
            raise InvalidOption(
                f"{self.name} ({self.formula}) takes {self.inputs} inputs and {self.outputs} "
                f"outputs, {len(dtypes)} arrays given",
                kernel=self.name,
                inputs=self.inputs,
                outputs=self.outputs,
                given=len(dtypes),
            )
        typed = [row for row in self.rows if row.dtypes == tuple(dtypes)]
        if not typed:
            raise DtypeMismatch(
                f"{self.name} ({self.formula}) has no version for {_arrow(dtypes, self.inputs)}; "
                f"nearest: {', '.join(self._nearest(dtypes))}; convert with kernels/Cast",
                kernel=self.name,
                dtypes=tuple(dtypes),
            )
        aliased = [row for row in typed if row.same == tuple(same)]
        if not aliased:
            raise InvalidOption(
                f"{self.name} ({self.formula}) cannot run in place with equal handles at "
                f"positions {_equal_positions(same)}; give it a separate output",
                kernel=self.name,
                same=tuple(same),
            )
        for row in aliased:
            if ndims is None or _fits(row.ndims, ndims):
                return row
        raise InvalidOption(
            f"{self.name} ({self.formula}) takes arrays of "
            f"{' or '.join(str(row.ndims) for row in aliased)} dimensions, {tuple(ndims or ())} "
            f"given; allocate them with that shape",
            kernel=self.name,
            ndims=tuple(ndims or ()),
        )

    def _nearest(self, dtypes: Sequence[str], limit: int = 3) -> list[str]:
        """Accepted dtypes that differ from the given ones in the fewest positions."""

        def distance(candidate: tuple[str, ...]) -> int:
            return sum(a != b for a, b in zip(candidate, dtypes, strict=True))

        return [_arrow(found, self.inputs) for found in sorted(self.dtypes, key=distance)[:limit]]


class Catalogue:
    """The library by name.

    Parameters
    ----------
    rows
        The native table's entries.
    """

    def __init__(self, rows: Iterable[LibraryRow]) -> None:
        grouped: dict[str, list[LibraryRow]] = {}
        for row in rows:
            grouped.setdefault(row.name, []).append(row)
        self._kernels = MappingProxyType({name: _kernel(rows) for name, rows in grouped.items()})
        self._names = {
            alias: kernel for kernel in self._kernels.values() for alias in kernel.aliases
        } | dict(self._kernels)

    def __iter__(self) -> Iterator[LibraryKernel]:
        return iter(self._kernels.values())

    def __len__(self) -> int:
        return len(self._kernels)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> LibraryKernel:
        """Look an operation up by name or alias; `UnknownKernel` lists near names."""
        kernel = self._names.get(name)
        if kernel is not None:
            return kernel
        # Without the common folder, which would make any two names look alike.
        folded = {known.rpartition("/")[2].casefold(): known for known in self._names}
        wanted = name.rpartition("/")[2].casefold()
        near = [folded[hit] for hit in difflib.get_close_matches(wanted, folded, n=3)]
        cure = f"did you mean {' or '.join(near)}?" if near else f"{len(self)} names are known"
        raise UnknownKernel(f"no library kernel {name!r}; {cure}", kernel=name, near=tuple(near))


def _kernel(rows: list[LibraryRow]) -> LibraryKernel:
    first = rows[0]
    return LibraryKernel(
        name=first.name,
        aliases=first.aliases,
        formula=first.formula,
        inputs=first.inputs,
        outputs=len(first.dtypes) - first.inputs,
        params=first.params,
        rows=tuple(rows),
    )


def _fits(wanted: Sequence[int], given: Sequence[int]) -> bool:
    return all(want in (0, have) for want, have in zip(wanted, given, strict=True))


def _arrow(dtypes: Sequence[str], inputs: int) -> str:
    return f"({', '.join(dtypes[:inputs])}) → ({', '.join(dtypes[inputs:])})"


def _equal_positions(same: Sequence[int]) -> str:
    return ", ".join(f"{first} and {p}" for p, first in enumerate(same) if first != p)
