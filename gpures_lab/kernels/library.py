"""The native kernels by name, as `compute` takes them: ``'kernels/VectorAdd'``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab._core import _native
from gpures_lab.kernels.catalogue import Catalogue, LibraryKernel, LibraryRow
from gpures_lab.kernels.numbers import number_of
from gpures_lab.kernels.signature import FLAT

if TYPE_CHECKING:
    from gpures_lab.kernels.cuda.device_kernel import DeviceKernel

__all__ = ["LibraryFunction", "library"]

FLAGS: Mapping[str, int] = _native.kernel_flags


class LibraryFunction(_native.KernelBase):
    """A kernel of the library; its versions are rows of the native table."""

    kind = "library"
    language = "native"

    def __init__(self, definition: LibraryKernel) -> None:
        self.definition = definition
        self.name = definition.name
        self.checked = False
        self._bind_native(definition.name, False, True)

    def __repr__(self) -> str:
        return f"<library kernel {self.name}: {self.definition.formula}>"

    def __int__(self) -> int:
        """Return its number, for rows of `gl.messages`."""
        return number_of(self)

    def _scalars(self, inputs: int, outputs: int) -> tuple[tuple[str, ...], dict[str, Any]]:
        self._check_arrays(inputs, outputs)
        return self.definition.params, {}

    def _check_call(self, inputs: int, outputs: int, params: tuple[str, ...]) -> None:
        from gpures_lab.errors import InvalidOption

        self._check_arrays(inputs, outputs)
        if set(params) != set(self.definition.params):
            raise InvalidOption(
                f"{self.name} ({self.definition.formula}) takes params "
                f"{list(self.definition.params)}, given {sorted(params)}",
                kernel=self.name,
            )

    def _check_arrays(self, inputs: int, outputs: int) -> None:
        from gpures_lab.errors import InvalidOption

        definition = self.definition
        if (inputs, outputs) != (definition.inputs, definition.outputs):
            raise InvalidOption(
                f"{self.name} ({definition.formula}) takes {definition.inputs} inputs and "
                f"{definition.outputs} outputs, given {inputs} and {outputs}",
                kernel=self.name,
            )

    def _specialize(
        self,
        _inputs: int,
        arrays: tuple[Any, ...],
        same: tuple[int, ...],
        *_values_and_checked: Any,
    ) -> tuple[Any, ...]:
        row = self.definition.row(
            [array.dtype.name for array in arrays], same, [array.ndim for array in arrays]
        )
        native = library.native(row)
        order = tuple(p for p, first in enumerate(row.same) if first == p)
        flags = (
            FLAGS["map"] * row.is_map
            | FLAGS["reduction"] * row.is_reduction
            | FLAGS["whole"] * row.whole
        )
        return (
            native["address"],
            self,
            order,
            row.indices,
            flags,
            tuple(np.dtype(row.dtypes[p]).itemsize for p in order),
            # Equal handles are passed once; the strictest rule of their positions holds.
            tuple(_strictest(native["rules"], row.same, p) for p in order),
            tuple(row.ndims[p] or 1 for p in order),  # 0: any shape, taken flat
            tuple(int(any(q >= row.inputs for q in _group(row.same, p))) for p in order),
            tuple(1 + _native.dtype_names.index(name) for name in row.param_dtypes),
            _equal_extents(row),
            tuple(_called(row, p) for p in order),
            -1,
            (),
            False,
        )

    def _for_device(
        self,
        _inputs: int,
        arrays: tuple[Any, ...],
        same: tuple[int, ...],
        *_values_and_checked: Any,
    ) -> DeviceKernel:
        from gpures_lab.kernels.cuda.library_kernel import compile_library

        row = self.definition.row(
            [array.dtype.name for array in arrays], same, [array.ndim for array in arrays]
        )
        return compile_library(row, library.native(row))


def _called(row: LibraryRow, position: int) -> str:
    is_input = position < row.inputs
    number = position if is_input else position - row.inputs
    return f"{'input' if is_input else 'output'} {number} of {row.formula}"


def _equal_extents(row: LibraryRow) -> tuple[int, ...]:
    """Return array, axis, other array, other axis of each pair that must be equal, in a row."""
    first: dict[str, tuple[int, int]] = {}
    pairs: list[int] = []
    for position, letters in enumerate(row.extents):
        for number, letter in enumerate(letters):
            axis = number if row.ndims[position] else FLAT
            here = (position, axis)
            if first.setdefault(letter, here) != here:
                pairs += (*first[letter], *here)
    return tuple(pairs)


def _group(same: tuple[int, ...], position: int) -> list[int]:
    return [q for q, first in enumerate(same) if first == position]


def _strictest(rules: tuple[int, ...], same: tuple[int, ...], position: int) -> int:
    found = {rules[q] for q in _group(same, position)}
    return 1 if 1 in found else max(found)  # an input's rule, for an array that is both


class Library(dict[str, LibraryFunction]):
    """Name or alias → kernel; filled from the native table at first use."""

    @cached_property
    def catalogue(self) -> Catalogue:
        """The native table, grouped by operation."""
        return Catalogue(self._rows)

    @cached_property
    def _rows(self) -> dict[LibraryRow, dict[str, Any]]:
        return {LibraryRow(**row.pop("row")): row for row in _native.library_rows()}

    def native(self, row: LibraryRow) -> dict[str, Any]:
        """Address and rules of a row."""
        return self._rows[row]

    def fill(self) -> Library:
        """Read the native table once."""
        if not self:
            for kernel in self.catalogue:
                function = LibraryFunction(kernel)
                for name in (kernel.name, *kernel.aliases):
                    self[name] = function
        return self

    def functions(self) -> Iterator[LibraryFunction]:
        """Each kernel once."""
        return iter(dict.fromkeys(self.values()))


library = Library()
