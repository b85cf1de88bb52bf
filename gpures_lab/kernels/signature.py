"""What a kernel is compiled for, and what compiling it gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array argument of a call: its dtype (``numpy.dtype.name``) and number of dimensions."""

    dtype: str
    ndim: int


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One scalar argument.

    ``kind`` is ``"int"``, ``"float"``, ``"bool"`` or ``"complex"`` for a Python scalar (weak: it
    never widens an array's arithmetic), else the dtype name of a NumPy scalar.
    """

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Signature:
    """Everything about a call that changes the compiled code; never a value.

    Attributes
    ----------
    arrays
        In binding order: inputs, then outputs.
    same
        ``same[p]`` is the first position that holds the same handle as position ``p``
        (``p`` itself when it is the first).
    inputs
        How many of ``arrays`` are inputs.
    params
        In the order in which the kernel declares them.
    checked
        Whether out-of-range accesses are skipped and reported.
    """

    arrays: tuple[ArraySpec, ...]
    same: tuple[int, ...]
    inputs: int
    params: tuple[ParamSpec, ...]
    checked: bool


@dataclass(frozen=True, slots=True)
class HostCode:
    """Machine code for the host driver, with the C signature of ``_core/shared/kernel_abi.hpp``.

    Attributes
    ----------
    address
        Entry point; valid as long as ``owner`` lives.
    arrays
        Binding positions that are passed, in the compiled order; equal handles are passed once.
    indices
        1 to 3.
    is_map
        Every subscript is exactly the loop index (or indices): bounds are checked once per array
        before the call, never inside.
    is_straight
        There is no loop in the body: an index takes about as long as one of the library's, so the
        serve loop calls it in long slices.
    is_reduction
        One index over the first input's size; the output has one element.
    may_fault
        The code can raise SIGSEGV, SIGBUS or SIGFPE (C++), so the worker calls it under a guard.
    cache_hit
        The code came from the disk cache, nothing was compiled.
    at_hand
        It was in memory: an equal kernel compiled it, or read it, earlier.
    """

    address: int
    owner: object
    arrays: tuple[int, ...]
    indices: int
    is_map: bool
    is_straight: bool
    is_reduction: bool
    may_fault: bool
    cache_hit: bool
    at_hand: bool = False
