"""Kernels as numbers: what a row of `gl.messages` can hold."""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import Any

from gpures_lab.errors import UnknownKernel

__all__ = ["kernel_of_number", "number_of"]

_next = itertools.count(1)
_lock = threading.Lock()
_numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_kernels: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def number_of(kernel: Any) -> int:
    """Return the number of a kernel in this process; given once, never reused."""
    with _lock:
        number = _numbers.get(kernel)
        if number is None:
            number = _numbers[kernel] = next(_next)
            _kernels[number] = kernel
        return number


def kernel_of_number(number: int) -> Any:
    """Return the kernel that has a number.

    Raises
    ------
    UnknownKernel
        None has, or it is gone.
    """
    found = _kernels.get(number)
    if found is None:
        raise UnknownKernel(
            f"no kernel has number {number}; fill the field with "
            "int(kernel), or give gl.messages(kernel=)"
        )
    return found
