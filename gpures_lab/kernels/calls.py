"""What a call of `compute` may get wrong, and the packing of library parameters.

Functions that name an error return it; the native binding raises it.
"""

from __future__ import annotations

import difflib
import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab._core import _native
from gpures_lab.errors import (
    CompileError,
    DtypeMismatch,
    GpuResError,
    InvalidOption,
    OutOfBounds,
    UnknownKernel,
)
from gpures_lab.kernels.library import library

if TYPE_CHECKING:
    from gpures_lab._core._native import ResidentArray

__all__ = [
    "bad_param",
    "bad_params",
    "do_not_fit",
    "index_space",
    "index_space_misses",
    "no_space",
    "pack_param",
    "too_many",
    "too_small",
    "unknown_kernel",
    "wrong_arguments",
]


def unknown_kernel(wanted: object) -> GpuResError:
    """Return the error of a kernel that is neither a Kernel nor a library name."""
    if not isinstance(wanted, str):
        return UnknownKernel(
            f"{wanted!r} is no kernel; decorate a function with @gl.kernel, or name one of the "
            "library, such as 'kernels/VectorAdd'",
            kernel=repr(wanted),
        )
    names = {name.casefold(): name for name in library}
    path = wanted if "/" in wanted else f"kernels/{wanted}"
    near = [names[hit] for hit in difflib.get_close_matches(path.casefold(), names, n=3)]
    cure = f"did you mean {' or '.join(near)}?" if near else "gl.library_kernels() lists them"
    return UnknownKernel(f"no kernel {wanted!r}; {cure}", kernel=wanted, near=tuple(near))


def bad_params(kernel: Any, params: object) -> InvalidOption:
    """Return the error of params that are no dict."""
    return InvalidOption(
        f"kernel {kernel.name}: params={params!r} is a {type(params).__name__}; "
        "pass a dict of name: number",
        kernel=kernel.name,
    )


def bad_param(kernel: Any, name: str, value: object) -> DtypeMismatch:
    """Return the error of a param that is no number, or an int beyond int64."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return DtypeMismatch(
            f"kernel {kernel.name}: param {name} is an int of {value.bit_length()} bits, which "
            "does not fit int64; give a float",
            kernel=kernel.name,
            param=name,
        )
    hint = "; pass arrays as handles among inputs" if isinstance(value, np.ndarray | list) else ""
    return DtypeMismatch(
        f"kernel {kernel.name}: param {name} is {value!r} ({type(value).__name__}); "
        f"give a Python or NumPy number{hint}",
        kernel=kernel.name,
        param=name,
    )


def wrong_arguments(kernel: Any, inputs: int, outputs: int, params: dict[str, Any] | None) -> Any:
    """Return the error of a call whose arrays or params are not the kernel's."""
    try:
        kernel._check_call(inputs, outputs, tuple(params or ()))
    except GpuResError as error:
        return error
    return InvalidOption(
        f"kernel {kernel.name} was called with {inputs} inputs, {outputs} outputs and params "
        f"{sorted(params or ())}, which it does not take",
        kernel=kernel.name,
    )


def pack_param(value: Any, code: int) -> bytes:
    """Bytes of ``value`` in the dtype of number ``code``, padded to whole 8-byte words."""
    dtype = np.dtype(_native.dtype_names[code])
    holder = np.zeros(1, dtype)
    try:
        # A weak Python scalar takes the dtype; int overflow and float → int are errors.
        np.copyto(holder, value, casting="same_kind")
    except TypeError:
        if not (isinstance(value, float) and value.is_integer() and dtype.kind in "iu"):
            raise DtypeMismatch(
                f"parameter {value!r} ({type(value).__name__}) does not fit {dtype}; "
                f"pass a {dtype} number",
                dtype=dtype.name,
            ) from None
        holder[0] = int(value)
    except OverflowError as reason:
        raise DtypeMismatch(f"parameter {value!r} does not fit {dtype}: {reason}") from None
    raw = holder.tobytes()
    return raw + bytes(-len(raw) % 8)


def too_many(what: str, most: int) -> InvalidOption:
    """Return the error of a call beyond a fixed capacity."""
    return InvalidOption(f"too many {what}: at most {most:,}", most=most)


def index_space(kernel: Any, indices: int, n: object, shape: object) -> tuple[int, ...]:
    """Extents of an explicit index space."""
    if n is not None and shape is not None:
        raise InvalidOption(f"kernel {kernel.name}: give n= or shape=, not both")
    given = (n,) if n is not None else shape if isinstance(shape, tuple | list) else (shape,)
    try:
        extents = tuple(operator.index(extent) for extent in given)
    except TypeError:
        extents = ()
    if any(isinstance(extent, bool | np.bool_) for extent in given):
        extents = ()  # no number is meant
    total = 1
    for extent in extents:
        total *= max(extent, 1)
    if len(extents) != indices or min(extents, default=-1) < 0 or total >= 1 << 60:
        raise InvalidOption(
            f"kernel {kernel.name} has {indices} indices: {'n' if n is not None else 'shape'}="
            f"{given!r} must be {indices} int{'s' if indices > 1 else ''}, each 0 or more, "
            "fewer than 2**60 indices in all",
            kernel=kernel.name,
        )
    return extents


def no_space(kernel: Any, indices: int, ndim: int) -> InvalidOption:
    """Return the error of an index space that does not follow from the arrays."""
    found = "there is no output" if ndim < 0 else f"its first output has {ndim} dimensions"
    return InvalidOption(
        f"kernel {kernel.name} has {indices} indices, and {found}; give shape=",
        kernel=kernel.name,
        indices=indices,
    )


def index_space_misses(
    kernel: Any,
    output: ResidentArray,
    array: ResidentArray | None,
    extents: tuple[int, ...],
    adds_up: int,
) -> GpuResError:
    """Return the error of an index space that a body's stores do not follow.

    ``array`` is one that the space was not taken from and should have been; None if the body adds
    up (``adds_up``) over more than one index.
    """
    total = math.prod(extents)
    adding = (
        "to add up over elements run kernels/Sum (or Mean, Min, Max, Dot) or a @gl.reduction, or "
        "loop in the body and give n=1"
    )
    if array is None:
        return CompileError(
            f"kernel {kernel.name} over {total:,} indices reads and stores the same element for "
            f"every index, and indices run in any order, also at the same time: {output.name} "
            f"would lose what others added; nothing ran; {adding}",
            kernel=kernel.name,
            array=output.name,
            indices=total,
        )
    indices = "1 index" if total == 1 else f"{total:,} indices"
    cure = f"n={array.size}" if len(extents) == 1 else f"shape={array.shape}"
    # Where it adds up, that count would be refused next.
    cure = adding if adds_up else f"give {cure}"
    return InvalidOption(
        f"kernel {kernel.name} would run over {indices}, taken from the output {output.name} "
        f"(shape {output.shape}), whose subscripts do not follow the index, while {array.name} "
        f"has {array.size:,} elements and is read at the index; nothing ran; {cure}",
        kernel=kernel.name,
        array=array.name,
        size=array.size,
        indices=total,
    )


def do_not_fit(
    kernel: Any, arrays: tuple[ResidentArray, ...], extents: tuple[int, ...]
) -> OutOfBounds:
    """Return the error of a library kernel's arrays that do not fit each other, or its space."""
    definition = kernel.definition
    row = definition.row(
        [array.dtype.name for array in arrays],
        [next(p for p, first in enumerate(arrays) if first is one) for one in arrays],
        [array.ndim for array in arrays],
    )
    shapes = [str(array.shape) for array in arrays]
    given = f"{', '.join(shapes[: row.inputs])} -> {', '.join(shapes[row.inputs :])}"
    sizes: dict[str, set[int]] = {}
    for array, letters, ndim in zip(arrays, row.extents, row.ndims, strict=True):
        # Not strict: an array without letters has a shape all the same.
        for letter, extent in zip(letters, array.shape if ndim else (array.size,), strict=False):
            sizes.setdefault(letter, set()).add(extent)
    unequal = [
        f"{letter} is {' and '.join(map(str, sorted(found)))}"
        for letter, found in sizes.items()
        if len(found) > 1
    ]
    why = "; ".join(unequal) or (
        f"the space {extents} must have the output's extents after the first"
    )
    return OutOfBounds(
        f"kernel {kernel.name} ({definition.formula}) takes shapes {row.shapes}, given {given}: "
        f"{why}; nothing ran; allocate arrays that fit",
        kernel=kernel.name,
        shapes=tuple(array.shape for array in arrays),
    )


def too_small(
    kernel: Any, array: ResidentArray, extents: tuple[int, ...], needed: int
) -> OutOfBounds:
    """Return the error of a map over more indices than an array has elements.

    Or of a reduction's output that has more than its one element.
    """
    space = " x ".join(f"{extent:,}" for extent in extents)
    if needed == 1 < array.size:
        return OutOfBounds(
            f"kernel {kernel.name} gives one element, and its output {array.name} has shape "
            f"{array.shape}; nothing ran; allocate(1) for it",
            kernel=kernel.name,
            array=array.name,
            needed=needed,
            size=array.size,
        )
    return OutOfBounds(
        f"kernel {kernel.name} over {space} indices needs {needed:,} elements of {array.name}, "
        f"which has shape {array.shape}; nothing ran; give n= (or shape=), or a larger array",
        kernel=kernel.name,
        array=array.name,
        needed=needed,
        size=array.size,
    )
