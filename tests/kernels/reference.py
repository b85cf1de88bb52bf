"""The kernel language by its definition: the Python function itself, called for every index.

Arrays are wrapped so that an access out of range is skipped and the first one is recorded, in the
order in which a checked kernel meets them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["run_reference"]


class _Checked:
    def __init__(self, array: np.ndarray, position: int, faults: list[tuple[int, ...]]) -> None:
        self.array = array
        self.position = position
        self.faults = faults
        self.shape = array.shape
        self.size = array.size
        self.ndim = array.ndim

    def _place(self, subscript: Any) -> int | None:
        if not isinstance(subscript, tuple):
            return self._inside(int(subscript), self.size, -1)
        flat = 0
        for axis, (index, extent) in enumerate(zip(subscript, self.shape, strict=True)):
            if self._inside(int(index), extent, axis) is None:
                return None
            flat = flat * extent + int(index)
        return flat

    def _inside(self, index: int, extent: int, axis: int) -> int | None:
        if 0 <= index < extent:
            return index
        self.faults.append((1, self.position, axis, index, extent))
        return None

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, subscript: Any) -> Any:
        place = self._place(subscript)
        return self.array.dtype.type(0) if place is None else self.array.reshape(-1)[place]

    def __setitem__(self, subscript: Any, value: Any) -> None:
        place = self._place(subscript)
        if place is not None:
            self.array.reshape(-1)[place] = np.asarray(value).astype(self.array.dtype)


def run_reference(
    function: Callable[..., None],
    arrays: Sequence[np.ndarray],
    shape: Sequence[int],
    params: dict[str, Any] | None = None,
) -> list[int]:
    """Run in place; returns the first fault as the kernel's fault words would hold it."""
    faults: list[tuple[int, ...]] = []
    wrapped = [_Checked(array, position, faults) for position, array in enumerate(arrays)]
    with np.errstate(all="ignore"):
        for index in itertools.product(*[range(extent) for extent in shape]):
            function(*index, *wrapped, **(params or {}))
    return [*faults[0], 0, 0, 0] if faults else [0] * 8
