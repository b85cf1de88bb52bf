"""`gl.messages`: the array that `Grain.submit` takes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab._core import _native
from gpures_lab.errors import InvalidOption, UnknownKernel
from gpures_lab.kernels.library import library
from gpures_lab.kernels.numbers import number_of
from gpures_lab.ring.batch import MESSAGE, OPERATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["messages", "prepared"]


def messages(
    count: int, *, op: str = "compute", kernel: Any = None, outputs: int = 1
) -> NDArray[np.void]:
    """Return an array of ``count`` messages to fill and give to `Grain.submit`.

    Parameters
    ----------
    op
        ``"compute"``, ``"write"``, ``"noop"`` or ``"barrier"``; what every row asks for.
    kernel
        For compute: a kernel, or a name of the library.
    outputs
        For compute: how many of a row's handles, from the last, are outputs.

    Returns
    -------
    ndarray
        Structured, one row a message, zero but for what was given: ``op``, ``kernel`` (a number:
        ``int(kernel)``), ``handles`` (8,) (``int(handle)``: inputs, then outputs; the first zero
        ends them), ``offset`` (write: first element in the handle), ``count`` (write: elements;
        compute: size of the index space, 0 for the first output's), ``params`` (8,) (float64, in
        the kernel's declared order), ``data`` (write: first element in ``submit(data=)``),
        ``outputs``. Rows of different kinds are joined with `numpy.concatenate`.

    Raises
    ------
    InvalidOption, UnknownKernel
        An option is out of range, or there is no such kernel.
    """
    if isinstance(count, bool) or not hasattr(count, "__index__") or operator.index(count) < 0:
        raise InvalidOption(f"count={count!r}: give an int of 0 or more")
    if op not in OPERATIONS:
        raise InvalidOption(f"op={op!r} is unknown; use one of {', '.join(OPERATIONS)}")
    if (kernel is not None) != (op == "compute"):
        raise InvalidOption(f"op={op!r} and kernel={kernel!r}: compute takes a kernel, others none")
    if isinstance(outputs, bool) or not isinstance(outputs, int) or not 1 <= outputs <= 8:
        raise InvalidOption(f"outputs={outputs!r}: the range is 1 to 8")
    rows = np.zeros(operator.index(count), MESSAGE)
    rows["op"] = OPERATIONS[op]
    if op == "compute":
        rows["kernel"] = number_of(_kernel(kernel))
        rows["outputs"] = outputs
    return rows


def prepared(rows: object, data: object) -> tuple[NDArray[np.void], NDArray[Any] | None]:
    """Check and arrange what `Grain.submit` was given, as the native half reads it."""
    if not isinstance(rows, np.ndarray) or rows.dtype != MESSAGE or rows.ndim != 1:
        raise InvalidOption(
            "submit() takes a 1-D array of gl.messages(count, op=...); given "
            f"{type(rows).__name__}{f' of {rows.dtype}' if isinstance(rows, np.ndarray) else ''}"
        )
    if not 0 < rows.size < 2**31:
        raise InvalidOption(f"a batch has 1 to {2**31 - 1} rows, given {rows.size}")
    if data is None:
        return np.ascontiguousarray(rows), None
    values = np.ascontiguousarray(data)
    # As `write` takes it: in whatever order its bytes are.
    native = values.dtype.newbyteorder("=")
    return np.ascontiguousarray(rows), values.astype(native, copy=False)


def _kernel(kernel: Any) -> Any:
    if isinstance(kernel, _native.KernelBase):
        return kernel
    names = library.fill()
    if isinstance(kernel, str) and kernel in names:
        return names[kernel]
    raise UnknownKernel(f"kernel={kernel!r} is no kernel and no name of the library")
