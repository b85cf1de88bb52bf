"""Named allocations: the grain owns them, and a name has one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpures_lab.errors import InvalidOption
from gpures_lab.grain.arguments import normalize_allocation

if TYPE_CHECKING:
    from gpures_lab._core._native import ResidentArray
    from gpures_lab.grain.grain import Grain

__all__ = ["allocate_named"]


def allocate_named(  # noqa: PLR0917 - called by position from native code
    grain: Grain, shape: object, dtype: object, name: object, zero: object, memory_type: object
) -> ResidentArray:
    """Serve `allocate(name=)`: the grain owns the allocation; the name's old one is replaced."""
    if not isinstance(name, str) or not name.isidentifier() or len(name.encode()) > 128:
        raise InvalidOption(
            f"name={name!r}: give an identifier of at most 128 bytes, such as 'x'", name=name
        )
    _, extents, found, _ = normalize_allocation(grain, shape, dtype, memory_type)
    options: dict[str, Any] = {"dtype": found, "zero": zero, "memory_type": memory_type or "device"}
    old = grain._named.get(name)
    if old is None or old.released:
        taken = grain.handles.get(name)
        if taken is not None:
            raise InvalidOption(
                f"name={name!r} is the automatic name of a live allocation; choose another"
            )
        handle = grain._allocate(extents, **options)
    elif (old.shape, old.dtype, old.memory_type) == (extents, found, options["memory_type"]):
        # Same size: released first, so that the pool hands the same block out again.
        grain.release(old)
        handle = grain._allocate(extents, **options)
    else:
        # Another size: allocated first, so that a full pool leaves the old one alone.
        handle = grain._allocate(extents, **options)
        grain.release(old)
    handle.name = name
    grain._named[name] = handle
    return handle
