"""Checks and conversions of what `allocate`, `write` and `read` are given.

The native fast path covers the plain cases; everything else comes here. Functions that name an
error return it; the native binding raises it.
"""

from __future__ import annotations

import contextlib
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab._core import _native
from gpures_lab.errors import (
    DtypeMismatch,
    InvalidOption,
    OutOfBounds,
    PoolExhausted,
    StaleHandle,
)
from gpures_lab.metrics.units import bytes_text

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from gpures_lab._core._native import GrainBase, ResidentArray

__all__ = [
    "as_ndarray",
    "bad_range",
    "check_dtype",
    "check_out",
    "coerce",
    "foreign",
    "no_arithmetic",
    "no_subscript",
    "normalize_allocation",
    "not_a_handle",
    "pool_exhausted",
    "refuse_masked",
    "released",
    "wrong_size",
]

MAX_NDIM = 32
MEMORY_TYPES = ("device", "pinned")


def check_dtype(dtype: object) -> np.dtype[Any]:
    """Return the dtype in native byte order, if an allocation can have it."""
    try:
        found = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError as reason:
        raise InvalidOption(f"dtype={dtype!r} is no NumPy dtype: {reason}", dtype=dtype) from None
    if found.name not in _native.dtype_names:
        raise InvalidOption(
            f"dtype={found} cannot live on a device; use one of {', '.join(_native.dtype_names)}",
            dtype=found,
        )
    native: np.dtype[Any] = found.newbyteorder("=")
    return native


def normalize_allocation(
    grain: GrainBase, shape: object, dtype: object, memory_type: object
) -> tuple[int, tuple[int, ...], np.dtype[Any], int]:
    """Elements, shape, dtype and arena of an allocation."""
    found = grain.dtype if dtype is None else check_dtype(dtype)
    if memory_type is not None and memory_type not in MEMORY_TYPES:
        raise InvalidOption(
            f"memory_type={memory_type!r} is unknown; use 'device' or 'pinned'",
            memory_type=memory_type,
        )
    extents = _shape(shape)
    elements = 1
    for extent in extents:
        elements *= extent
    if elements * found.itemsize >= 1 << 56:
        # Python refuses to print, and floats to hold, integers beyond some size.
        many = f"{elements:,} elements" if elements < 1 << 200 else "2**200 elements or more"
        raise InvalidOption(
            f"a shape of {found} with {many}: no device has that much",
            shape=shape,
        )
    return elements, extents, found, int(memory_type == "pinned")


def _shape(shape: object) -> tuple[int, ...]:
    if isinstance(shape, np.ndarray) and shape.ndim == 1:
        shape = shape.tolist()
    given = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    extents = []
    for extent in given:
        number = None
        if not isinstance(extent, bool | np.bool_):
            with contextlib.suppress(TypeError):
                number = operator.index(extent)
        if number is None:
            raise InvalidOption(
                f"shape={shape!r}: {extent!r} is a {type(extent).__name__}; "
                "give an int or a tuple of ints",
                shape=shape,
            )
        extents.append(number)
    if len(extents) > MAX_NDIM:
        raise InvalidOption(f"shape has {len(extents)} dimensions; at most {MAX_NDIM}", shape=shape)
    if any(extent < 1 for extent in extents):
        raise InvalidOption(
            f"shape={shape!r}: every extent must be 1 or more (an allocation holds data)",
            shape=shape,
        )
    return tuple(extents)


def refuse_masked(data: Any, what: str) -> None:
    """Raise InvalidOption for an array of which some elements are masked: memory has no mask."""
    if type(data).__module__.startswith("numpy.ma") and np.ma.is_masked(data):
        masked = int(np.ma.getmaskarray(data).sum())
        raise InvalidOption(
            f"{what} is a masked array, {masked:,} of {np.size(data):,} elements masked; resident "
            "memory has no mask: fill them first, as in .filled(0)",
            masked=masked,
        )


def coerce(handle: ResidentArray, data: Any) -> NDArray[Any]:
    """Return ``data`` as a C-contiguous array of the handle's dtype, cast as `np.copyto` casts."""
    if isinstance(data, _native.ResidentArray):
        raise InvalidOption(
            f"data is the resident array {data.name}; copy on the device with "
            "compute('kernels/Copy', inputs=[source], outputs=[target])",
        )
    refuse_masked(data, "data")
    dtype = handle.dtype
    try:
        source = data if isinstance(data, np.ndarray) else np.asarray(data)
    except (TypeError, ValueError) as reason:
        raise DtypeMismatch(f"data cannot become an array of {dtype}: {reason}") from None
    if source.dtype.names is not None or source.dtype.kind in "OSUVMm":
        raise DtypeMismatch(
            f"data has dtype {source.dtype}, which cannot be cast to {dtype}; convert it to "
            "numbers first",
            dtype=source.dtype,
        )
    if source.dtype == dtype and source.flags.c_contiguous and source.dtype.isnative:
        return source.view(np.ndarray) if source.dtype is dtype else source.view(dtype)
    result = np.empty(source.shape, dtype)
    try:
        # A Python number is weak: np.copyto gets the number itself.
        np.copyto(result, source if isinstance(data, np.ndarray) else data, casting="same_kind")
    except (TypeError, OverflowError, ValueError) as reason:
        raise DtypeMismatch(
            f"data of {source.dtype} does not cast to {dtype} of {handle.name} under 'same_kind' "
            f"({reason}); convert it with .astype({dtype.name!r}) if that is meant",
            dtype=source.dtype,
            wanted=dtype,
        ) from None
    return result


def check_out(handle: ResidentArray, out: Any, count: int) -> None:
    """Raise unless a Read may fill ``out`` in place."""
    if not isinstance(out, np.ndarray):
        raise InvalidOption(f"out={type(out).__name__} is no ndarray", out=type(out).__name__)
    if out.dtype != handle.dtype or not out.dtype.isnative:
        raise DtypeMismatch(
            f"out has dtype {out.dtype}, {handle.name} has {handle.dtype}; make it "
            f"np.empty({count}, {handle.dtype.name!r})",
            dtype=out.dtype,
            wanted=handle.dtype,
        )
    if out.size != count:
        raise InvalidOption(
            f"out has {out.size:,} elements, the read gives {count:,}", size=out.size, count=count
        )
    if not out.flags.writeable:
        raise InvalidOption("out is read-only; pass a writable array")
    if not out.flags.c_contiguous or not out.flags.aligned:
        raise InvalidOption(
            f"out is not C-contiguous (strides {out.strides}); pass np.ascontiguousarray memory"
        )


def as_ndarray(
    handle: ResidentArray, dtype: DTypeLike | None = None, copy: bool | None = None
) -> NDArray[Any]:
    """Serve `np.asarray(handle)`: an ordered read."""
    if copy is False:
        raise ValueError(
            f"{handle.name} lives on a device: an array of it is a copy; use grain.borrow() for "
            "a view"
        )
    data: NDArray[Any] = handle.read().result()
    return data if dtype is None else data.astype(dtype, copy=False)


def wrong_size(handle: ResidentArray, data: Any) -> OutOfBounds:
    """Return the error of a whole write of another size."""
    shape = np.shape(data)
    return OutOfBounds(
        f"data of shape {shape} has {int(np.prod(shape)):,} elements, {handle.name} has shape "
        f"{handle.shape} ({handle.size:,}); nothing was written; "
        f"{handle.name}.write(data, offset=0) writes a part",
        size=handle.size,
    )


def bad_range(handle: ResidentArray, offset: object, count: object) -> InvalidOption | OutOfBounds:
    """Return the error of an element range that leaves the handle."""
    given = {"offset": offset, "count": count}
    text = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
    if not all(_is_int(value) for value in given.values() if value is not None):
        return InvalidOption(f"{text}: give ints, in elements", offset=offset, count=count)
    return OutOfBounds(
        f"{text} leaves {handle.name}, which has {handle.size:,} elements; nothing was moved",
        offset=offset,
        count=count,
        size=handle.size,
    )


def _is_int(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool | np.bool_ | np.ndarray)


def pool_exhausted(wanted: int, block: int, used: int, idle: int, limit: int) -> PoolExhausted:
    """Return the error of an allocation beyond the pool's limit."""
    return PoolExhausted(
        f"{bytes_text(wanted)} ({block:,} bytes as a block) do not fit: "
        f"{bytes_text(used)} of {bytes_text(limit)} in use; release handles, or raise "
        "pool_limit_bytes",
        wanted=wanted,
        used=used,
        idle=idle,
        limit=limit,
    )


def not_a_handle(given: object) -> InvalidOption:
    """Return the error of something else where a handle is needed."""
    if isinstance(given, np.ndarray):
        hint = "it is a NumPy array on the host: allocate and write it first"
    else:
        hint = "pass what grain.allocate() returned"
    return InvalidOption(
        f"{type(given).__name__} is no resident array; {hint}", given=type(given).__name__
    )


def no_arithmetic(handle: ResidentArray) -> TypeError:
    """Return the error of arithmetic on a handle."""
    name = handle.name
    return TypeError(
        f"{name} stays on the device, and its handle does no arithmetic: write {name}[i] in a "
        f"%%grain_compute cell or a @gl.kernel, or copy it to the host with np.asarray({name})"
    )


def no_subscript(handle: ResidentArray) -> TypeError:
    """Return the error of an index on a handle."""
    name = handle.name
    return TypeError(
        f"{name} stays on the device, and its handle has no elements: np.asarray({name}) copies "
        f"it to the host, {name}.read(offset=, count=) and {name}.write(data, offset=) a part of "
        f"it, and `with grain.borrow({name}) as array:` is the memory itself"
    )


def foreign(handle: ResidentArray, key: str) -> StaleHandle:
    """Return the error of another grain's handle."""
    if handle.grain.key == key:
        return StaleHandle(
            f"{handle.name} belongs to another grain {key!r}: one of another manager, or from "
            "before an engine failed; use the handles of this one: grain.handles",
            grain=key,
            owner=key,
        )
    return StaleHandle(
        f"{handle.name} belongs to grain {handle.grain.key!r}, not to {key!r}; a grain uses only "
        "its own memory: read and write the data across",
        grain=key,
        owner=handle.grain.key,
    )


def released(handle: ResidentArray) -> StaleHandle:
    """Return the error of a handle after release, replacement or close."""
    return StaleHandle(
        f"{handle.name} of grain {handle.grain.key!r} was released or replaced; allocate again",
        grain=handle.grain.key,
        name=handle.name,
    )
